"""Orders are held up neither by a webhook that hangs in another namespace nor by a router that acknowledges nothing."""

import secrets
import time
from collections.abc import Iterator, Sequence
from statistics import median

import pytest

from millpond.api.names import NAMESPACE

from e2e.audit import orders_s
from e2e.deaf import connected, make_pod, routers
from e2e.hanging import hanging_webhook
from e2e.product import Product, elastic_app
from router.cuts import hung
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(300)]
ALONE, BESIDE = (2, 3, 4), (5, 6, 7)
"""Servers that are asked for, one after the other."""
NOISE_S = 0.3
"""So much two runs differ on a busy machine, whatever is tested."""


@pytest.fixture
def hanging_namespace(product: Product) -> Iterator[str]:
    name = f"hangs-{time.monotonic_ns() % 10**9}"
    product.cluster.kubectl("create", "namespace", name)
    yield name
    product.cluster.kubectl("delete", "namespace", name, "--wait=false")


def order_s(product: Product, namespace: str, scales: Sequence[int]) -> float:
    """Seconds from `kubectl scale` to the operator's order, by the API server's clock: the median of a few."""
    assert product.cluster.audit_log is not None
    since = product.audit_lines()
    for replicas in scales:
        product.cluster.kubectl("scale", "elasticapp/web", f"--replicas={replicas}", "-n", namespace)
        eventually(lambda n=replicas: product.ordered(namespace) == n, 20, "the order is written")
    taken_s = orders_s(product.cluster.audit_log, namespace, since)
    assert len(taken_s) == len(scales)
    return median(taken_s)


def test_orders_are_written_as_fast_beside_a_hanging_webhook_and_a_router_that_acknowledges_nothing(
    product: Product, namespace: str, hanging_namespace: str
) -> None:
    name = f"router-{secrets.token_hex(3)}"
    product.apply(elastic_app(namespace, mode="Manual", replicas=1, servers={"min": 1, "max": 8}))
    product.wait_serving(namespace)
    alone_s = order_s(product, namespace, ALONE)
    make_pod(product, name)
    with hung() as stats, connected(product, name, stats):
        with hanging_webhook(product, hanging_namespace) as hanging:
            product.apply(*(elastic_app(hanging_namespace, f"new-{n}") for n in range(6)))
            eventually(lambda: hanging.asked >= 2, 30, "the webhook keeps the operator waiting")
            beside_s = order_s(product, namespace, BESIDE)
            assert name in routers(product), "the router is there, and has acknowledged nothing"
        product.cluster.kubectl("delete", "pod", name, "-n", NAMESPACE, "--force", "--grace-period=0")
    print(f"orders are written after {alone_s:.3f} s alone, {beside_s:.3f} s beside what hangs")
    assert beside_s <= 2 * alone_s + NOISE_S
    product.wait_serving(namespace, BESIDE[-1])
