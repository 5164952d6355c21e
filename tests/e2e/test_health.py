"""/healthz goes red when a watch or the cycle is stuck, says which, and recovers; provoked at the API server's side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.product import Product, elastic_app
from kube.fault_proxy import FaultProxy, Hang
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
IMPATIENT = ("--watch-stuck-s", "5", "--cycle-stuck-s", "4")


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


def test_a_cycle_that_hangs_turns_healthz_red_by_name_and_it_recovers_when_it_goes_on(
    product: Product, proxy: FaultProxy, namespace: str
) -> None:
    hanging = proxy.inject(lambda seen: seen.verb == "POST" and seen.path.endswith("/editions"), Hang())
    product.apply(elastic_app(namespace))
    eventually(lambda: red(product) == ["cycle"], 20, "the hanging cycle is named, and nothing else")
    hanging.lift()
    eventually(lambda: red(product) == [], 20, "healthy again once the cycle comes round")
    product.wait_serving(namespace)
