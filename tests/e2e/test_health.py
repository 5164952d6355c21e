"""/healthz goes red when a watch is stuck, says which, and recovers; not for one app's write that hangs."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.product import Product, elastic_app
from kube.fault_proxy import FaultProxy, Hang, Seen
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
CYCLE_STUCK_S = 4
IMPATIENT = ("--watch-stuck-s", "5", "--cycle-stuck-s", str(CYCLE_STUCK_S))


@pytest.fixture
def proxy(product: Product, tmp_path: Path) -> Iterator[FaultProxy]:
    """The operator's only way to the API server."""
    with FaultProxy(product.cluster.operator_kubeconfig, tmp_path) as proxy:
        assert product.operator is not None
        product.operator.stop()
        product.start_operator(*IMPATIENT, kubeconfig=proxy.kubeconfig)
        try:
            eventually(lambda: red(product) == [], 20, "the operator is healthy through the proxy")
            yield proxy
        finally:
            product.operator.stop()


def red(product: Product) -> list[str]:
    """The names of the checks that fail; an answer other than 200 or 500 is none."""
    answer = product.healthz()
    checks = answer.json()["checks"]
    failed = [name for name, check in checks.items() if check["ok"] is False]
    assert answer.status_code == (500 if failed else 200)
    return failed


def test_watches_that_fall_silent_turn_healthz_red_by_name_and_it_recovers_with_them(
    product: Product, proxy: FaultProxy
) -> None:
    proxy.freeze_watches()
    eventually(lambda: "watch pods" in red(product), 20, "the silent watch is named")
    assert "cycle" not in red(product)
    proxy.thaw_watches()
    eventually(lambda: red(product) == [], 40, "healthy again once watches speak")


@pytest.mark.alone
def test_a_write_that_hangs_holds_up_its_app_alone_and_healthz_stays_green(
    product: Product, proxy: FaultProxy, namespace: str
) -> None:
    """For longer than a cycle may be stuck. One that does not come round is red: tests/lead/test_health.py."""
    asked: list[float] = []

    def makes_the_edition(seen: Seen) -> bool:
        found = seen.write and seen.path.endswith("/editions") and b"web-v1" in seen.body
        asked.extend([time.monotonic()] if found else [])
        return found

    hanging = proxy.inject(makes_the_edition, Hang())
    product.apply(elastic_app(namespace), elastic_app(namespace, "other"))
    eventually(
        lambda: product.condition(namespace, "Ready", "other")[0] == "True", 40, "the other app serves"
    )
    looks: list[list[str]] = []
    eventually(
        lambda: looks.append(red(product)) or len(asked) >= 2, 60, "the write was given up and tried again"
    )
    assert asked[1] - asked[0] > 2 * CYCLE_STUCK_S
    assert all(look == [] for look in looks)
    hanging.lift()
    product.wait_serving(namespace)
