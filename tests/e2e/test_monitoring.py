"""The chart's alerts and dashboard ask for what operator and routers really tell, in words that Prometheus knows."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml

from millpond import paths
from millpond.clock import now_s
from millpond.local.prometheus.process import LocalPrometheus, Scrape
from millpond.local.prometheus.program import find_prometheus
from millpond.router.trust.authority import Lives, Trust

import asking
from e2e.product import Product, elastic_app, free_address, template
from router.renewal import mount
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
_SELECTOR = re.compile(r"\b(?:millpond|envoy)_\w+\b(?!\s*(?:=[^=]|!))(?:\{[^}]*\})?")
_GROUPED = re.compile(r"\bby \([^)]*\)")


@pytest.fixture(scope="module")
def expressions() -> list[str]:
    """Of alerts and panels, for Prometheus alone: without what Helm and Grafana put in."""
    rules = (paths.chart() / "templates/monitoring/prometheusrule.yaml").read_text()
    rules = re.sub(r"\{\{.*?\}\}", "1", re.sub(r"(?m)^\s*\{\{.*\}\}$", "", rules))
    alerts = yaml.safe_load(rules)["spec"]["groups"][0]["rules"]
    board = json.loads((paths.chart() / "dashboards/millpond.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return [rule["expr"] for rule in alerts] + [re.sub(r"\$\w+", ".*", panel) for panel in panels]


@pytest.fixture
def prometheus(product: Product, tmp_path: Path) -> Iterator[httpx.Client]:
    """It reads the operator and a router with a certificate."""
    signed = Trust.new(now_s(), Lives()).for_server(("shop.test",), now_s(), Lives())
    (tmp_path / "shown").mkdir()
    mount(tmp_path / "shown" / "shop", signed, b"")
    product.start_router("tls", "--listen-tls", free_address(), "--certificates", str(tmp_path / "shown"))
    program = find_prometheus()
    assert program is not None
    operator = Scrape(job="operator", addresses=(product.health,))
    routers = Scrape(job="routers", addresses=(product.stats["tls"],), path="/stats/prometheus")
    local = LocalPrometheus(program, tmp_path / "prometheus", [operator, routers], interval_s=0.5)
    process = product.cluster.run("monitoring", local.argv)
    try:
        local.wait_ready()
        with asking.client(base_url=f"{local.url}/api/v1", timeout=10) as client:
            yield client
    finally:
        process.stop()


def _series(prometheus: httpx.Client, expression: str) -> int:
    answer = prometheus.get("/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    return len(answer["data"]["result"])


def test_alerts_and_dashboard_ask_for_what_there_is(
    product: Product, prometheus: httpx.Client, namespace: str, expressions: list[str]
) -> None:
    assert len(expressions) > 15
    failing = template(ERROR_RATIO="1")
    for servers in (1, 2):  # a decision
        product.apply(elastic_app(namespace, template=failing, servers={"min": servers, "max": 6}))
        product.wait_serving(namespace, servers)
    for expression in expressions:
        _series(prometheus, expression)
    selectors = {
        found for expression in expressions for found in _SELECTOR.findall(_GROUPED.sub("", expression))
    }
    selectors.remove(
        "envoy_cluster_ssl_certificate_expiration_unix_time_seconds"
    )  # tests/router/test_tls.py has it
    assert {"millpond_prometheus_up", 'millpond_routers{state="connected"}'} <= selectors

    def is_there(selector: str) -> bool:
        assert product.ask(f"web.{namespace}.test", router="tls").status_code == 500
        return _series(prometheus, selector) > 0

    for selector in sorted(selectors):
        eventually(partial(is_there, selector), 30, selector)
