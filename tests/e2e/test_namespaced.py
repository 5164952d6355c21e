"""An operator for chosen namespaces, whose rights end at them, and which lives in a namespace of its own."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from millpond.kube import paths
from millpond.local.cluster.embedded import Cluster

from e2e import roles, traffic
from e2e.product import Product, Raw, elastic_app
from e2e.traffic import Traffic
from kube.fault_proxy import FaultProxy
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
ROUTER = "chosen"


@dataclass
class Chosen:
    """Two namespaces that the operator sees to; `later` does not exist at first. `other` it does not see to."""

    product: Product
    home: str
    first: str
    later: str
    other: str
    proxy: FaultProxy

    def start(self) -> None:
        chosen = ("--watch-namespace", self.first, "--watch-namespace", self.later)
        self.product.start_operator("--namespace", self.home, *chosen, kubeconfig=self.proxy.kubeconfig)

    def told_of(self, namespace: str) -> str:
        """What /healthz says about it."""
        found: str = checks(self.product)[f"namespace {namespace}"]["detail"]
        return found


@pytest.fixture(scope="module")
def chosen(running: Product) -> Iterator[Chosen]:
    assert running.operator is not None
    running.operator.stop()
    names = [f"{what}-{secrets.token_hex(3)}" for what in ("ops", "first", "later", "other")]
    home, first, later, other = names
    with tempfile.TemporaryDirectory(prefix="mp-") as folder, namespaces(running.cluster, home, first, other):
        product = Product(running.cluster, Path(folder))
        with (
            roles.identity(running.cluster, home, (first, later), Path(folder)) as kubeconfig,
            FaultProxy(kubeconfig, Path(folder)) as proxy,
        ):
            found = Chosen(product, home, first, later, other, proxy)
            roles.apply(running.cluster, roles.in_namespace(home, first))
            try:
                found.start()
                product.start_router(ROUTER)
                yield found
            finally:
                product.stop()
                running.start_operator()
                running.cluster.kubectl("delete", "namespace", later, "--ignore-not-found", "--wait=false")


@contextmanager
def namespaces(cluster: Cluster, *names: str) -> Iterator[None]:
    for name in names:
        roles.make_namespace(cluster, name)
    yield
    cluster.kubectl("delete", "namespace", *names, "--wait=false")


def checks(product: Product) -> Raw:
    found: Raw = product.healthz().json()["checks"]
    return found


def scale(product: Product, namespace: str, replicas: int) -> None:
    product.cluster.kubectl("scale", "elasticapp/web", f"--replicas={replicas}", "-n", namespace)


def test_it_scales_and_rolls_out_in_its_namespace_with_roles_alone_and_loses_nothing(chosen: Chosen) -> None:
    product, namespace = chosen.product, chosen.first
    product.apply(elastic_app(chosen.other), traffic.app(product, namespace, mode="Manual", replicas=1))
    product.wait_serving(namespace, 1)
    with Traffic.run(product, namespace, rate=100, one_edition=False, routers=(ROUTER,)):
        scale(product, namespace, 2)
        product.wait_serving(namespace, 2)
        scale(product, namespace, 1)
        product.wait_serving(namespace, 1)
        how = {"mode": "Manual", "replicas": 1, "rollout": {"soak": "1s"}}
        product.apply(traffic.app(product, namespace, "v2", **how))
        eventually(
            lambda: product.app(namespace)["status"].get("rollout", {}).get("phase") == "Completed",
            60,
            "v2 has taken over",
        )
        product.wait_serving(namespace, 1)
    assert product.app(namespace)["status"]["edition"] == "v2"
    assert "status" not in product.app(chosen.other)
    assert product.get("editions,replicasets,pods", "-n", chosen.other)["items"] == []
    lease = product.get("lease", "millpond-operator", "-n", chosen.home)
    assert lease["spec"]["holderIdentity"]


def test_a_namespace_that_comes_later_is_seen_to_as_soon_as_it_and_its_roles_are_there(
    chosen: Chosen,
) -> None:
    product, cluster = chosen.product, chosen.product.cluster
    assert chosen.told_of(chosen.later) == "does not exist: waits until somebody makes it"
    roles.make_namespace(cluster, chosen.later)
    eventually(
        lambda: chosen.told_of(chosen.later).startswith("waits for its roles: "),
        20,
        "it says what is missing",
    )
    assert product.healthz().status_code == 200
    product.apply(traffic.app(product, chosen.later, mode="Manual", replicas=1))
    roles.apply(cluster, roles.in_namespace(chosen.home, chosen.later))
    product.wait_serving(chosen.later, 1)
    assert chosen.told_of(chosen.later) == "watched"
    assert f"watch elasticapps in {chosen.later}" in checks(product)
    assert "watch elasticapps" not in checks(product)


def test_a_namespace_whose_roles_are_taken_away_or_that_goes_harms_no_other(chosen: Chosen) -> None:
    product, cluster = chosen.product, chosen.product.cluster
    product.wait_serving(chosen.later, 1)
    product.apply(traffic.app(product, chosen.first, "v2", mode="Manual", replicas=1))
    product.wait_serving(chosen.first, 1)
    cluster.kubectl("delete", "rolebinding", roles.NAME, "-n", chosen.later)
    with Traffic.run(product, chosen.first, rate=50, before_s=1, after_s=1, routers=(ROUTER,)):
        assert product.operator is not None
        product.operator.stop()
        chosen.start()
        eventually(lambda: "roles" in chosen.told_of(chosen.later), 20, "it says what is missing")
        scale(product, chosen.first, 2)
        product.wait_serving(chosen.first, 2)
        cluster.kubectl("delete", "namespace", chosen.later, "--timeout=90s")
        eventually(lambda: "does not exist" in chosen.told_of(chosen.later), 20, "it says that it is gone")
    assert product.operator.alive
    assert product.healthz().status_code == 200


def test_it_reads_and_writes_nothing_outside_its_namespaces(chosen: Chosen) -> None:
    inside = tuple(f"/namespaces/{name}" for name in (chosen.home, chosen.first, chosen.later))
    about = {(seen.verb, seen.path) for seen in chosen.proxy.seen if not seen.path.endswith(inside)}
    outside = {(verb, path) for verb, path in about if not any(f"{i}/" in path for i in inside)}
    assert {path for verb, path in outside if verb != "GET"} == set()
    listed = {path for _, path in outside if path.count("/") > 3 or path == paths.nodes()}
    assert listed == {paths.slapolicies(), paths.dynamicpools(), paths.nodes()}, "besides what kopf looks up"
