"""A router that falls silent stops nobody for long: as a pod, as soon as Kubernetes knows that it is lost."""

import secrets
import time

import pytest

from millpond.api.names import NAMESPACE

from e2e.deaf import connected, make_pod, routers
from e2e.product import Product, elastic_app
from router.cuts import hung
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


@pytest.mark.parametrize(
    ("deleted", "within_s"),
    [
        pytest.param(False, 25.0, id="its node is lost: ten seconds later apps go on"),
        pytest.param(True, 8.0, id="its pod is gone: apps go on at once"),
    ],
)
def test_a_silent_router_of_which(product: Product, namespace: str, deleted: bool, within_s: float) -> None:
    name = f"router-{secrets.token_hex(3)}"
    make_pod(product, name)
    product.apply(elastic_app(namespace, mode="Manual", replicas=1))
    product.wait_serving(namespace)
    with hung() as stats:
        with connected(product, name, stats):
            product.cluster.kubectl("scale", "elasticapp/web", "--replicas=2", "-n", namespace)
            eventually(lambda: product.servers(namespace).get("starting") == 1, 20, "a server starts")
        cut_s = time.monotonic()
        eventually(lambda: f"{name} (cut off, silent for" in routers(product), 5, "health names it")
        eventually(lambda: product.metric("millpond_routers", state="silent") == 1, 5, "and metrics count it")
        assert product.servers(namespace)["ready"] == 1, "nobody knows what it serves"
        if deleted:
            product.cluster.kubectl("delete", "pod", name, "-n", NAMESPACE, "--force", "--grace-period=0")
            cut_s = time.monotonic()
        product.wait_serving(namespace, 2)
        assert time.monotonic() - cut_s < within_s
        assert name not in routers(product)
    product.cluster.kubectl("delete", "pod", name, "-n", NAMESPACE, "--ignore-not-found", "--force")
