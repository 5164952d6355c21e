"""What is left of an app without Millpond, and when the operator counts as stopped."""

from typing import Any

import pytest

from millpond.cli.detach import stopping
from millpond.cli.detach.plain import DETACHED_ANNOTATION, loosened, manifest, note, replicas_without, service
from millpond.cli.detach.stopping import StillRuns
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.lease import LeaderLease

from waiting import eventually_async

Raw = dict[str, Any]
GATE = {"conditionType": "millpond.dev/serving"}


def owned(
    edition: str = "v1", replicas: int = 2, protocol: str = "HTTP", gates: list[Raw] | None = None
) -> Raw:
    labels = {"millpond.dev/app": "web", "millpond.dev/edition": edition}
    noted = note({"spec": {"port": 9090, "protocol": protocol}})
    return {
        "metadata": {
            "name": f"web-{edition}",
            "namespace": "shop",
            "resourceVersion": "7",
            "labels": labels,
            "annotations": {DETACHED_ANNOTATION: noted},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"spec": {"readinessGates": gates or []}},
        },
    }


def test_the_gate_goes_from_the_template_and_others_stay() -> None:
    other = {"conditionType": "example.com/warm"}
    patch = loosened(owned(gates=[GATE, other]), 2, note({"spec": {"port": 9090}}))
    assert patch is not None
    assert patch["spec"] == {"replicas": 2, "template": {"spec": {"readinessGates": [other]}}}
    assert patch["metadata"]["resourceVersion"] == "7"
    assert loosened(owned(gates=[other]), 2, note({"spec": {"port": 9090}})) is None
    assert loosened(owned(gates=[other]), 1, note({"spec": {"port": 9090}})) is not None


@pytest.mark.parametrize(
    ("replicas", "living", "retiring", "ordered"),
    [
        pytest.param(3, 3, 1, 2, id="it is ordered away"),
        pytest.param(2, 3, 1, 2, id="that was done before"),
        pytest.param(3, 4, 2, 2, id="one of two was"),
        pytest.param(3, 2, 1, 2, id="while another starts"),
        pytest.param(3, 3, 0, 3, id="nobody goes"),
        pytest.param(1, 1, 1, 0, id="the last one"),
        pytest.param(0, 1, 1, 0, id="never less than none"),
    ],
)
def test_servers_that_were_about_to_go_are_ordered_away_once(
    replicas: int, living: int, retiring: int, ordered: int
) -> None:
    assert replicas_without(replicas, living, retiring) == ordered


def test_the_service_selects_the_servers_of_the_edition_that_has_some() -> None:
    found = service([owned("v1", replicas=0), owned("v2")], {})
    assert found is not None
    assert found["metadata"] == {"name": "web", "namespace": "shop"}
    assert found["spec"]["selector"] == {"millpond.dev/app": "web", "millpond.dev/edition": "v2"}
    assert found["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": 9090}]


def test_the_service_selects_all_servers_when_two_editions_have_some() -> None:
    found = service([owned("v1"), owned("v2")], {})
    assert found is not None
    assert found["spec"]["selector"] == {"millpond.dev/app": "web"}


def test_the_service_of_http2_servers_says_so_and_takes_nobodys_name() -> None:
    found = service([owned(protocol="GRPC")], {"web": {"app": "another"}})
    assert found is not None
    assert found["metadata"]["name"] == "web-plain"
    assert found["spec"]["ports"][0]["appProtocol"] == "kubernetes.io/h2c"
    assert service([], {}) is None


@pytest.mark.parametrize(
    "noted",
    [
        pytest.param("", id="it is empty"),
        pytest.param("[" * 100_000, id="it nests too deep"),
        pytest.param("null", id="it is null"),
        pytest.param("{}", id="it names nothing"),
        pytest.param('{"port": "x", "protocol": "HTTP"}', id="its port is a word"),
        pytest.param('{"port": 80, "protocol": 1}', id="its protocol is a number"),
    ],
)
def test_a_note_that_somebody_spoiled_makes_no_service(noted: str) -> None:
    spoiled = owned("v1")
    spoiled["metadata"]["annotations"][DETACHED_ANNOTATION] = noted
    assert service([spoiled], {}) is None


def test_the_manifest_is_what_somebody_would_apply() -> None:
    annotations = {"millpond.dev/submitter": "ann", "team": "shop"}
    meta = {
        "name": "web",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "7",
        "annotations": annotations,
    }
    kept = manifest({"metadata": meta, "spec": {"edition": "v1"}, "status": {"replicas": 2}})
    assert kept == {
        "apiVersion": "millpond.dev/v1alpha1",
        "kind": "ElasticApp",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {"team": "shop"}},
        "spec": {"edition": "v1"},
    }


def deployment(*args: str) -> Raw:
    labels = {"app": "operator"}
    container = {"name": "operator", "image": "none", "args": ["operator", *args]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "millpond-operator"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@pytest.mark.integration
async def test_which_namespaces_a_deployed_operator_sees_to_is_read_from_its_arguments(
    api: Api, namespace: str
) -> None:
    assert not await stopping.known(api, namespace)
    assert await stopping.ordered(api, namespace) is None
    chosen = ("--watch-namespace", "a", "--verbose", "--watch-namespace=b")
    await api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment(*chosen))
    assert await stopping.known(api, namespace)
    assert await stopping.ordered(api, namespace) == 0
    assert await stopping.namespaces(api, namespace) == {"a", "b"}


@pytest.mark.integration
async def test_a_holder_that_does_not_renew_is_gone_when_its_lease_has_run_out(
    api: Api, namespace: str
) -> None:
    spec = {
        "holderIdentity": "somebody",
        "leaseDurationSeconds": 1,
        "renewTime": "2030-01-01T00:00:00.000000Z",
    }
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "millpond-operator"},
        "spec": spec,
    }
    assert await stopping.holder(api, namespace) is None
    await api.create(paths.leases(namespace), lease)
    assert await stopping.holder(api, namespace) is None, "the time that it wrote itself proves nothing"
    said: list[str] = []
    await stopping.stop(api, namespace, said.append)
    assert said == [
        f"no operator acts: Lease {namespace}/millpond-operator is free; the routers keep what they have"
    ]


@pytest.mark.integration
async def test_an_operator_without_a_deployment_has_to_be_ended_by_whoever_started_it(
    api: Api, namespace: str
) -> None:
    running = LeaderLease(api, namespace, "millpond-operator", "somebody", duration_s=3)
    running.start()
    try:
        await eventually_async(lambda: running.held(), 10, "somebody holds the lease")
        with pytest.raises(StillRuns, match=r"somebody holds Lease .* end that process"):
            await stopping.stop(api, namespace, lambda _: None)
    finally:
        await running.stop()
    assert await stopping.holder(api, namespace) is None
