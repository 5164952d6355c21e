"""Routers, nodes, operator, certificates and the release change while 200 requests a second pass; none is lost.

The tests are in order: they share the traffic, which never stops, and the last one counts every request.
"""

import json
from typing import Any

import pytest

from millpond import paths
from millpond.api.names import LABEL_LEADER, NAMESPACE
from millpond.demo.kind.explain import explain
from millpond.demo.kind.release import ROUTER, Release

import asking
from kind.conftest import NEXT
from kind.detached import Detached
from kind.flow import Flow
from kind.rotation import Rotation
from kind.shop import Shop
from waiting import eventually

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]
Raw = dict[str, Any]
CHART = paths.chart()
OPERATOR = "app.kubernetes.io/component=operator"


def pods(release: Release, namespace: str) -> list[Raw]:
    found = json.loads(release.cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))
    return list(found["items"])


def pods_of(release: Release, selector: str) -> str:
    return release.cluster.kubectl("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "name")


def nodes_of(release: Release, namespace: str, prefix: str) -> set[str]:
    found = [pod for pod in pods(release, namespace) if pod["metadata"]["name"].startswith(prefix)]
    return {pod["spec"]["nodeName"] for pod in found}


@pytest.fixture(scope="module")
def detached(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Detached:
    return Detached(release, tmp_path_factory.mktemp("detached"))


def test_a_router_is_deleted(release: Release, flow: Flow) -> None:
    victim = release.routers()[0]
    release.cluster.kubectl("delete", "pod", victim, "-n", NAMESPACE, "--timeout=90s")
    release.wait()
    assert victim not in release.routers()
    flow.goes_on(3)


def test_a_router_is_added_and_one_is_taken_away(release: Release, flow: Flow) -> None:
    def count(number: int) -> None:
        release.cluster.kubectl("scale", f"deployment/{ROUTER}", f"--replicas={number}", "-n", NAMESPACE)
        release.wait()
        eventually(lambda: len(release.routers()) == number, 90, f"{number} routers run")
        flow.goes_on(3)

    before = set(release.routers())
    count(3)
    (new,) = set(release.routers()) - before

    def reached() -> bool:
        """By new connections; those that are kept stay where they are."""
        assert asking.get(flow.shop.url, headers={"Host": flow.shop.host}, timeout=20).status_code == 200
        return bool(release.routed_by(new))

    eventually(reached, 60, "the router that came gets requests")
    count(2)


def leaders(release: Release) -> list[str]:
    return pods_of(release, f"{OPERATOR},{LABEL_LEADER}=true").split()


def test_the_operator_that_leads_is_deleted(release: Release, flow: Flow) -> None:
    (leader,) = eventually(lambda: leaders(release), 30, "one leads")
    release.cluster.kubectl("delete", leader, "-n", NAMESPACE, "--timeout=90s")
    (other,) = eventually(lambda: [n for n in leaders(release) if n != leader], 30, "another one leads")
    release.wait()
    assert leaders(release) == [other]
    flow.goes_on(3)


def test_all_operators_are_deleted(release: Release, flow: Flow) -> None:
    release.cluster.kubectl("delete", "pods", "-n", NAMESPACE, "--timeout=90s", "-l", OPERATOR)
    release.wait()
    eventually(lambda: leaders(release), 60, "one leads")
    flow.goes_on(3)


def test_a_node_with_a_router_and_a_server_is_drained(release: Release, flow: Flow, shop: Shop) -> None:
    both = nodes_of(release, NAMESPACE, ROUTER) & nodes_of(release, "shop", "shop-")
    node = min(both or nodes_of(release, NAMESPACE, ROUTER))
    drain = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s")
    try:
        release.cluster.kubectl(*drain)
        release.wait()
        flow.goes_on(3)
    finally:
        release.cluster.kubectl("uncordon", node)


def test_the_authority_of_the_routers_certificates_is_replaced(
    release: Release, flow: Flow, shop: Shop, rotation: Rotation
) -> None:
    rotation.finished()
    serving = {pod["metadata"]["name"] for pod in pods(release, "shop")}
    shop.kubectl(
        "delete", "pod", min(serving), "-n", "shop", "--timeout=120s"
    )  # routers must hear of its successor
    flow.goes_on(3)
    after = len(flow.answers())
    new = {pod["metadata"]["name"] for pod in pods(release, "shop")} - serving

    def heard() -> bool:
        return bool({answer.server for answer in flow.answers()[after:]} & new)

    eventually(heard, 60, "the server that came gets requests")


def test_the_release_is_upgraded(release: Release, flow: Flow) -> None:
    options = ("--reuse-values", "--set", f"image.tag={NEXT}", "--wait", "--timeout", "4m")
    release.helm("upgrade", "millpond", str(CHART), *options)
    release.wait()

    def upgraded() -> bool:
        """Operators and routers, and those of before have ended."""
        found = [pod for pod in pods(release, NAMESPACE) if pod["metadata"]["name"] != "millpond-test"]
        images = {c["image"] for pod in found for c in pod["spec"]["containers"]}
        return len(found) == 4 and all(image.endswith(f":{NEXT}") for image in images)

    eventually(upgraded, 120, "two operators and two routers are the upgraded ones")
    flow.goes_on(3)


def test_what_helps_to_find_a_fault_is_told(release: Release, shop: Shop) -> None:
    told = explain(release.cluster, ("shop",))
    for part in ("millpond-operator-", f"{ROUTER}-", "get events -n shop", "elasticapp.millpond.dev/shop"):
        assert part in told


def test_servers_are_detached(release: Release, flow: Flow, shop: Shop, detached: Detached) -> None:
    """The first step of removal. The routers go on, with nobody who tells them anything."""
    detached.make()
    flow.goes_on(3)
    eventually(lambda: not pods_of(release, OPERATOR), 60, "the operators are stopped")
    assert shop.kubectl("get", "elasticapps,editions", "-n", "shop", "-o", "name") == ""


def test_not_one_request_was_lost(flow: Flow) -> None:
    print(f"{flow.end()} requests")


def test_detached_servers_are_reached_by_the_service_that_was_printed(shop: Shop, detached: Detached) -> None:
    shop.kubectl("apply", "-n", "shop", "-f", str(detached.services))
    first, *_ = eventually(lambda: two(detached.reachable()), 60, "both servers are endpoints of the Service")
    shop.kubectl("delete", "pod", first, "-n", "shop", "--timeout=120s")
    eventually(lambda: two(detached.reachable() - {first}), 120, "Kubernetes alone replaces a server")


def two(names: set[str]) -> set[str] | None:
    return names if len(names) == 2 else None


def test_the_release_is_removed_and_nothing_hangs(release: Release, shop: Shop) -> None:
    release.uninstall(print)
    assert not release.exists
    assert shop.kubectl("get", "crd", "elasticapps.millpond.dev", "-o", "name").strip()
    assert [pod["status"]["phase"] for pod in pods(release, "shop")] == ["Running"] * 2
    shop.kubectl("delete", "namespace", "shop", "--timeout=120s")
