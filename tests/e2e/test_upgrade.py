"""Objects that the first version stored are seen to by this one: no server restarts, no request is lost."""

import hashlib
import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond import paths
from millpond.api.kinds.template import template_hash
from millpond.local.cluster.embedded import Cluster, NodeSpec

from e2e import traffic
from e2e.product import GOLD, POOL, Product, Raw
from e2e.roles import make_namespace
from e2e.traffic import Traffic
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
CRDS = Path(__file__).parent / "older" / "crds.yaml"
KINDS = ("elasticapps", "editions", "slapolicies", "dynamicpools")
NAMESPACE = "older"


@pytest.fixture(scope="module")
def older() -> Iterator[Product]:
    """A cluster of its own, for its custom resources go back to their first version, and in the end go altogether."""
    node = NodeSpec("node-1", labels={"millpond.dev/pool": "default"})
    with (
        tempfile.TemporaryDirectory(prefix="mp-") as folder,
        Cluster.start(f"older-{secrets.token_hex(3)}", nodes=[node]) as cluster,
    ):
        cluster.install_chart()
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
        make_namespace(cluster, NAMESPACE)
        product = Product(cluster, Path(folder))
        try:
            yield product
        finally:
            product.stop()


def store(product: Product, obj: Raw, status: Raw | None = None) -> str:
    """Create it with this status; its UID."""
    created = json.loads(product.cluster.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(obj)))
    meta = created["metadata"]
    if status is not None:
        patch = json.dumps({"status": status})
        where = (obj["kind"].lower(), meta["name"], "-n", NAMESPACE)
        product.cluster.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", patch)
    uid: str = meta["uid"]
    return uid


def owner(api: str, kind: str, name: str, uid: str) -> list[Raw]:
    return [{"apiVersion": api, "kind": kind, "name": name, "uid": uid, "controller": True}]


def store_as_the_first_version_did(product: Product) -> None:
    """An app with two servers: ElasticApp, Edition and ReplicaSet, without all that was added since."""
    api, labels = "millpond.dev/v1alpha1", {"millpond.dev/app": "web", "millpond.dev/edition": "v1"}
    app = traffic.app(product, NAMESPACE, mode="Manual", replicas=2, drain={"timeout": "30s"})
    template = app["spec"]["template"]
    status = {"observedGeneration": 1, "edition": "v1", "replicas": 2, "conditions": [], "decisions": []}
    app_uid = store(product, app, status)
    meta = {"name": "web-v1", "namespace": NAMESPACE, "labels": labels}
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    edition = {
        "apiVersion": api,
        "kind": "Edition",
        "metadata": {**meta, "ownerReferences": owner(api, "ElasticApp", "web", app_uid)},
        "spec": {
            "app": "web",
            "edition": "v1",
            "template": template,
            "templateHash": hashlib.sha256(text.encode()).hexdigest()[:10],
        },
    }
    edition_uid = store(product, edition, {"state": "Active", "replicas": 2, "learned": {}})
    pod = {
        **template["spec"],
        "readinessGates": [{"conditionType": "millpond.dev/serving"}],
        "nodeSelector": {"millpond.dev/pool": "default"},
        "terminationGracePeriodSeconds": 30,
    }
    replicaset = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**meta, "ownerReferences": owner(api, "Edition", "web-v1", edition_uid)},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    store(product, replicaset)


def uids(product: Product) -> dict[str, str]:
    items = product.get("elasticapps,editions,replicasets,pods", "-n", NAMESPACE)["items"]
    return {f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["uid"] for i in items}


def upgrade(cluster: Cluster) -> None:
    """As the chart's notes say: the custom resources first, by a server-side apply."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(paths.chart() / "crds"))


def change(product: Product, **spec: object) -> None:
    patch = json.dumps({"spec": spec})
    product.cluster.kubectl("patch", "elasticapp/web", "-n", NAMESPACE, "--type=merge", "-p", patch)


def test_apps_of_the_first_schema_go_on_through_an_upgrade_of_the_custom_resources(older: Product) -> None:
    older.apply(GOLD, POOL)
    store_as_the_first_version_did(older)
    before = uids(older)
    older.start()
    older.wait_serving(NAMESPACE, 2)
    kept = {k: v for k, v in uids(older).items() if not k.startswith("Pod/")}
    pods = uids(older).keys() - kept.keys()
    assert kept.items() <= before.items()
    with Traffic.run(older, NAMESPACE, rate=60, one_server=False):
        upgrade(older.cluster)
        change(older, historyLimit=2, drain={"sessionTimeout": "2s"})
        eventually(
            lambda: older.app(NAMESPACE)["spec"].get("historyLimit") == 2, 20, "the new schema is served"
        )
        generation = older.app(NAMESPACE)["metadata"]["generation"]
        eventually(
            lambda: older.app(NAMESPACE)["status"]["observedGeneration"] == generation,
            20,
            "the operator has seen it",
        )
        assert older.condition(NAMESPACE, "Ready")[0] == "True"
        now = uids(older)
        assert kept.items() <= now.items()
        assert now.keys() == kept.keys() | pods, "no server was restarted, no edition made"
        change(older, replicas=3)
        older.wait_serving(NAMESPACE, 3)
        change(older, replicas=2)
        older.wait_serving(NAMESPACE, 2)
    assert kept.items() <= uids(older).items()


def test_without_an_operator_neither_custom_resources_nor_a_namespace_with_their_servers_hang(
    older: Product,
) -> None:
    assert older.operator is not None
    older.operator.stop()
    older.cluster.kubectl("delete", "crd", *(f"{kind}.millpond.dev" for kind in KINDS), "--timeout=90s")
    assert not [
        c for c in older.get("customresourcedefinitions")["items"] if c["spec"]["group"] == "millpond.dev"
    ]
    older.cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")


def test_the_hash_of_a_template_is_for_ever() -> None:
    """Kept editions are compared by it: another hash would make every running app a conflict."""
    template = {
        "spec": {"containers": [{"name": "ä", "image": "shop:1", "env": [{"value": "x", "name": "A"}]}]}
    }
    assert template_hash(template) == "c730d3dd4d"
