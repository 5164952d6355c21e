"""An operator that cannot read an app's spec: CRDs were upgraded first, or it was rolled back."""

import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.local.cluster.embedded import Cluster, NodeSpec

from e2e import traffic
from e2e.product import GOLD, POOL, Product
from e2e.roles import make_namespace
from e2e.traffic import Traffic
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
NAMESPACE = "newer"
CRD = "crd/elasticapps.millpond.dev"
SPEC = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"


@pytest.fixture
def newer() -> Iterator[Product]:
    """A cluster of its own, whose apps have a field that this operator does not know."""
    node = NodeSpec("node-1", labels={"millpond.dev/pool": "default"})
    with (
        tempfile.TemporaryDirectory(prefix="mp-") as folder,
        Cluster.start(f"newer-{secrets.token_hex(3)}", nodes=[node]) as cluster,
    ):
        cluster.install_chart()
        field = [{"op": "add", "path": f"{SPEC}/mood", "value": {"type": "string"}}]
        cluster.kubectl("patch", CRD, "--type=json", "-p", json.dumps(field))
        make_namespace(cluster, NAMESPACE)
        product = Product(cluster, Path(folder))
        try:
            yield product
        finally:
            product.stop()


def change(product: Product, **spec: object) -> None:
    patch = json.dumps({"spec": spec})
    product.cluster.kubectl("patch", "elasticapp/web", "-n", NAMESPACE, "--type=merge", "-p", patch)


def is_unreadable(product: Product) -> bool:
    return product.condition(NAMESPACE, "Ready")[:2] == ("False", "InvalidSpec")


def pods(product: Product) -> set[str]:
    return {p["metadata"]["name"] for p in product.pods(NAMESPACE)}


def routed(product: Product) -> set[str]:
    """Pods that every router has."""
    return {
        pod["metadata"]["name"]
        for pod in product.pods(NAMESPACE)
        for condition in pod["status"].get("conditions", ())
        if condition["type"] == "millpond.dev/serving" and condition["status"] == "True"
    }


def test_what_runs_is_routed_and_drained_on_while_nothing_new_is_decided(newer: Product) -> None:
    newer.apply(GOLD, POOL, traffic.app(newer, NAMESPACE, mode="Manual", replicas=3))
    newer.start()
    newer.wait_serving(NAMESPACE, 3)
    before = pods(newer)
    with Traffic.run(newer, NAMESPACE, rate=60, one_server=False):
        change(newer, replicas=2)
        eventually(lambda: newer.servers(NAMESPACE).get("draining"), 20, "a drain begins")
        change(newer, mood="blue")
        eventually(lambda: is_unreadable(newer), 20, "the operator says that it can't read the app")
        eventually(lambda: len(pods(newer)) == 2, 60, "the drain that had begun ends")
        assert pods(newer) < before
        gone = min(pods(newer))
        newer.cluster.kubectl("delete", "pod", gone, "-n", NAMESPACE)
        eventually(
            lambda: len(routed(newer)) == 2 and gone not in routed(newer),
            60,
            "the server in its place is routed",
        )
        newer.crash_operator()
        newer.start_operator()
        known = routed(newer)
        newer.cluster.kubectl("delete", "pod", min(known), "-n", NAMESPACE)
        eventually(
            lambda: len(routed(newer) - {min(known)}) == 2, 60, "so it is after a restart of the operator"
        )
        assert is_unreadable(newer)
        change(newer, mood=None, replicas=3)
        newer.wait_serving(NAMESPACE, 3)
    assert newer.condition(NAMESPACE, "Ready")[0] == "True"
