"""Two tenants, one hostile: whatever that one applies, and however long its namespace hangs, the other is served."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from e2e.hanging import hanging_webhook
from e2e.odd import apply_odd, instant, scribble, take_host
from e2e.product import Product, elastic_app
from e2e.traffic import Traffic, app
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(600)]
RATE = 200


@dataclass
class Health:
    """/healthz, asked ten times a second."""

    asked: int = 0
    red: list[str] = field(default_factory=list)


@contextlib.contextmanager
def watched_health(product: Product) -> Iterator[Health]:
    found, over = Health(), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            found.asked += 1
            try:
                answer = product.healthz()
                found.red += [answer.text] if answer.status_code != 200 else []
            except Exception as error:
                found.red.append(repr(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    over.set()
    thread.join(10)


@pytest.fixture
def hostile(product: Product) -> Iterator[str]:
    name = f"hostile-{time.monotonic_ns() % 10**9}"
    product.cluster.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", f"--namespace={name}")
    eventually(lambda: product.cluster.kubectl(*account), 30, "the namespace has a default service account")
    yield name
    product.cluster.kubectl("delete", "namespace", name, "--wait=false")


def scale_out_and_in(product: Product, namespace: str) -> float:
    """Seconds until 2, 3, then 1 server serves. One server drains for as long as sessions last."""
    began_s = time.monotonic()
    for replicas in (2, 3, 1):
        product.cluster.kubectl("scale", "elasticapp/web", f"--replicas={replicas}", "-n", namespace)
        product.wait_serving(namespace, replicas, 60)
    return time.monotonic() - began_s


@pytest.mark.alone
def test_a_hostile_tenant_neither_ends_the_operator_nor_delays_the_other_tenant(
    product: Product, namespace: str, hostile: str
) -> None:
    product.apply(elastic_app(hostile), instant(hostile))  # older than the other tenant's app
    product.wait_serving(hostile)
    product.apply(app(product, namespace, mode="Manual", replicas=1))
    product.wait_serving(namespace)
    host, operator = f"web.{namespace}.test", product.operator
    assert operator is not None
    with Traffic.run(product, namespace, rate=RATE, session_s=1):
        alone_s = scale_out_and_in(product, namespace)
    load = product.load(f"instant.{hostile}.test", (150, 20))
    try:
        with (
            watched_health(product) as health,
            Traffic.run(product, namespace, rate=RATE, session_s=1) as traffic,
        ):
            assert apply_odd(product, hostile, host) >= 4
            take_host(product, hostile, host)
            scribble(product, hostile)
            with hanging_webhook(product, hostile) as hanging:
                product.apply(*(elastic_app(hostile, f"new-{n}") for n in range(6)))
                eventually(lambda: hanging.asked >= 2, 30, "the webhook keeps the operator waiting")
                beside_s = scale_out_and_in(product, namespace)
                before = hanging.asked
                eventually(lambda: hanging.asked > before, 40, "it still does")
    finally:
        load.process.kill()
    print(f"scaled: {alone_s:.1f} s alone, {beside_s:.1f} s beside a hostile tenant; {traffic.totals()}")
    assert beside_s <= 2 * alone_s
    assert health.red == []
    assert health.asked > 100
    assert operator.alive
    assert product.operator is operator
    for name in ("gates", "selector", "deep", "deeper"):
        reason = product.condition(hostile, "Ready", name)[1]
        assert reason in ("InvalidTemplate", "InvalidSpec"), name
    assert product.condition(hostile, "Contested")[0] == "True", "an edit takes nobody's host"
    assert product.condition(hostile, "Ready")[0] == "True", "its own app that runs goes on, too"
    eventually(lambda: product.condition(hostile, "Ready", "new-0")[0] == "True", 90, "it is served again")
