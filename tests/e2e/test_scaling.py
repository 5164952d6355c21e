"""The main job, on real parts: servers come with the load and go with it, and no request is lost."""

import pytest

from e2e.product import Product, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(400)]


def orders(product: Product, namespace: str) -> list[int]:
    """The numbers of servers that the operator ordered, oldest first, from the audit trail in status."""
    decisions = product.app(namespace)["status"].get("decisions", [])
    return [d["wanted"] for d in reversed(decisions) if d["action"] == "Grow"]


def test_load_that_rises_in_steps_gets_one_server_more_then_two_more_and_gives_them_back(
    product: Product, namespace: str
) -> None:
    """Prometheus is down all the while: the routers' telemetry is enough.

    A server carries 40 requests a second. They take 100 ms, so that a few more on a busy machine make no difference.
    """
    product.apply(elastic_app(namespace, template=template(SLOTS="4", SERVICE_TIME_MS="100")))
    product.wait_serving(namespace)
    assert product.metric("millpond_prometheus_up") == 0
    host = f"web.{namespace}.test"
    load = product.load(host, (12, 12), (20, 52), (20, 122), (150, 12))
    eventually(lambda: product.ordered(namespace) == 2, 45, "one server more is ordered")
    eventually(lambda: product.ordered(namespace) == 4, 45, "two servers more are ordered")
    product.wait_serving(namespace, 1, timeout_s=120)
    totals = load.end()
    assert totals["ok"] == totals["sent"], totals
    assert orders(product, namespace) == [2, 4]
    dead = [e for e in product.get("events", "-n", namespace)["items"] if e["reason"] == "RetireDeadline"]
    assert dead == []
