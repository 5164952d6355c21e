"""What people see and do with kubectl; and that status is the operator's."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from millpond.api.kinds.status import ElasticAppStatus, RolloutStatus
from millpond.api.names import DYNAMICPOOL, EDITION, SLAPOLICY
from millpond.local.cluster.embedded import Cluster

from api.manifests import Manifest, manifest
from api.server import Refused, Server

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster_wide(server: Server) -> Iterator[None]:
    """A SLAPolicy and a DynamicPool of their own names, deleted afterwards."""
    made = [manifest(kind, name=f"test-{secrets.token_hex(4)}") for kind in (SLAPOLICY, DYNAMICPOOL)]
    with ExitStack() as stack:
        for one in made:
            server.create(one)
            stack.callback(server.delete, one)
        yield


def test_what_was_learned_about_an_edition_is_kept_as_it_was_written(server: Server) -> None:
    made, learned = manifest(EDITION, name="shop-v1"), {"rate": {"at": 1.5}, "seen": [1, None]}
    server.create(made)
    written = server.patch(made, {"status": {"state": "Active", "learned": learned}}, part="status")
    assert written["status"] == {"state": "Active", "learned": learned}


def test_status_and_spec_are_written_apart(server: Server, app: Manifest) -> None:
    both = {"spec": {"port": 81}, "status": {"replicas": 3}}
    assert "status" not in server.patch(app, {"status": both["status"]})
    written = server.patch(app, both, part="status")
    assert (written["spec"]["port"], written["status"]) == (8080, {"replicas": 3})


def test_a_full_status_is_taken_as_it_is_and_is_not_too_big(server: Server, app: Manifest) -> None:
    decision = {
        "at": "2030-01-31T18:00:00Z",
        "edition": "v1",
        "action": "Grow",
        "reason": "GoalExceeded",
        "servers": 1,
        "wanted": 2,
        "needed": 3,
        "limitedBy": "AtCeiling",
        "inputs": {f"input_{n}": "1234.5" for n in range(32)},
        "refused": [{"servers": 3, "reason": "AtCeiling"}],
        "message": "order 1 more",
    }
    condition = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NoSamples",
        "message": "m" * 5000,
        "lastTransitionTime": "2030-01-31T18:00:00Z",
        "observedGeneration": 1,
    }
    status = {
        "observedGeneration": 1,
        "edition": "v1",
        "replicas": 2,
        "selector": "millpond.dev/app=shop",
        "servers": {"desired": 2, "ready": 1, "starting": 1, "draining": 0},
        "goal": "average ≤ 300 ms",
        "conditions": [condition | {"type": f"Ready{n}"} for n in range(20)],
        "rollout": {
            "edition": "v2",
            "from": "v1",
            "strategy": "Canary",
            "phase": "Waiting",
            "step": 0,
            "steps": 2,
            "weight": 0,
            "servers": 3,
            "startedAt": "2030-01-31T18:00:00Z",
            "stepAt": "2030-01-31T18:00:00Z",
            "until": "2030-02-01T00:00:00Z",
            "needs": "approve",
            "emergency": "the shop is down",
            "emergencyBy": "tess",
            "reason": "OutsideChangeWindow",
            "message": "m" * 1024,
        },
        "decisions": [decision] * 20,
    }
    written = server.patch(app, {"status": status}, part="status")
    assert written["status"] == status
    assert len(json.dumps(written)) < 262_144


def test_how_far_a_rollout_has_come_is_seen_in_the_wide_table(
    server: Server, cluster: Cluster, app: Manifest
) -> None:
    rollout = {"edition": "v2", "from": "v1", "strategy": "Canary", "phase": "Progressing", "weight": 10}
    server.patch(app, {"status": {"rollout": rollout}}, part="status")
    head, row = cluster.kubectl(
        "get", "eapp", "--output=wide", f"--namespace={server.namespace}"
    ).splitlines()
    shown = {name: row[head.index(name) :].split()[0] for name in ("ROLLOUT", "WEIGHT")}
    assert shown == {"ROLLOUT": "Progressing", "WEIGHT": "10"}
    assert ElasticAppStatus.model_validate({"rollout": rollout}).rollout == RolloutStatus(
        edition="v2", from_edition="v1", strategy="Canary", phase="Progressing", weight=10
    )


def test_more_than_twenty_decisions_are_refused(server: Server, app: Manifest) -> None:
    with pytest.raises(Refused, match=r"status\.decisions: Too many: 21"):
        server.patch(app, {"status": {"decisions": [{}] * 21}}, part="status")


def test_kubectl_scale_sets_the_servers_of_manual_mode(
    server: Server, cluster: Cluster, app: Manifest
) -> None:
    server.patch(app, {"status": {"replicas": 2, "selector": "millpond.dev/app=shop"}}, part="status")
    cluster.kubectl("scale", "eapp/shop", "--replicas=3", f"--namespace={server.namespace}")
    assert server.get(app)["spec"]["replicas"] == 3
    scale = server.get(app, part="scale")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 2, "selector": "millpond.dev/app=shop"}


@pytest.mark.parametrize(
    ("what", "wide", "header"),
    [
        pytest.param("eapp", False, "NAME EDITION GOAL DESIRED SERVING MIN MAX SLAMET READY AGE", id="apps"),
        pytest.param(
            "eapp",
            True,
            "NAME EDITION GOAL DESIRED SERVING MIN MAX SLAMET READY AGE MODE POLICY POOL STARTING DRAINING ROLLOUT "
            "WEIGHT LIMITED PAUSED LAST-DECISION HOST",
            id="apps, wide",
        ),
        pytest.param("ed", False, "NAME APP EDITION STATE SERVERS AGE", id="editions"),
        pytest.param("ed", True, "NAME APP EDITION STATE SERVERS AGE IMAGE HASH", id="editions, wide"),
        pytest.param("sla", False, "NAME GOAL TARGET PERCENTILE IMPORTANCE CLASS AGE", id="policies"),
        pytest.param("pool", True, "NAME ZONE NODES APPS SERVERS AGE SELECTOR NAMESPACES", id="pools, wide"),
    ],
)
def test_kubectl_get_shows_what_people_look_for(
    server: Server, cluster: Cluster, app: Manifest, cluster_wide: None, what: str, wide: bool, header: str
) -> None:
    server.create(manifest(EDITION, name="shop-v1"))
    wanted = [f"--namespace={server.namespace}", *(["--output=wide"] if wide else [])]
    first, *_ = cluster.kubectl("get", what, *wanted).splitlines()
    assert first.split() == header.split()


def test_an_app_reads_like_a_sentence_in_kubectl_get(server: Server, cluster: Cluster, app: Manifest) -> None:
    conditions = [
        {"type": kind, "status": status, "reason": "A", "lastTransitionTime": "2030-01-31T18:00:00Z"}
        for kind, status in (("Ready", "True"), ("SLAMet", "False"))
    ]
    status = {"goal": "average ≤ 300ms", "servers": {"desired": 3, "ready": 2}, "conditions": conditions}
    server.patch(app, {"status": status}, part="status")
    shown = cluster.kubectl("get", "eapp", "--no-headers", f"--namespace={server.namespace}").split()
    assert shown[:-1] == ["shop", "v1", "average", "≤", "300ms", "3", "2", "1", "4", "False", "True"]


def test_all_kinds_are_found_by_category_and_short_names(cluster: Cluster) -> None:
    found = cluster.kubectl("api-resources", "--categories=millpond", "--no-headers")
    names = {tuple(line.split()[:2]) for line in found.splitlines()}
    assert names == {
        ("elasticapps", "eapp"),
        ("editions", "ed"),
        ("slapolicies", "sla"),
        ("dynamicpools", "pool,dpool"),
    }


def test_kubectl_explain_tells_units_and_limits(cluster: Cluster) -> None:
    told = " ".join(cluster.kubectl("explain", "slapolicy.spec.goal").split())
    assert "such as 300ms: more than 0, at most 5m" in told
