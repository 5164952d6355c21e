"""Apps that another proxy serves: their response time comes from Prometheus."""

from pathlib import Path

import pytest

from millpond.local.prometheus.process import LocalPrometheus, Scrape
from millpond.local.prometheus.program import find_prometheus

from e2e.product import Product, elastic_app
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(400)]


def test_an_app_behind_another_proxy_is_sized_by_prometheus_and_held_when_that_is_gone(
    product: Product, namespace: str, tmp_path: Path
) -> None:
    """The router plays the other proxy: an Envoy whose statistics Prometheus scrapes."""
    program = find_prometheus()
    assert program is not None
    envoy = Scrape(
        job="envoy",
        addresses=(product.stats["r1"],),
        path="/stats/prometheus",
        labels={"namespace": namespace},
    )
    port = int(product.prometheus.rpartition(":")[2])
    local = LocalPrometheus(program, tmp_path, [envoy], port=port)
    prometheus = product.cluster.run("prometheus", local.argv)
    try:
        local.wait_ready()
        cluster = f"{namespace}/web/v1"
        source = {"preset": "envoy", "labels": {"envoy_cluster_name": cluster}}
        sla = {"policy": "e2e-gold", "source": "prometheus", "prometheus": source}
        product.apply(elastic_app(namespace, sla=sla))
        eventually(lambda: product.servers(namespace).get("ready") == 1, 40, "it serves")
        load = product.load(f"web.{namespace}.test", (170, 10))
        eventually(
            lambda: product.condition(namespace, "MetricsAvailable")[0] == "True", 60, "Prometheus tells"
        )
        eventually(lambda: product.condition(namespace, "SLAMet")[0] == "True", 40, "the goal is met")
        assert product.metric("millpond_prometheus_up") == 1
        totals = load.end()
        assert totals["ok"] == totals["sent"], totals
    finally:
        prometheus.stop()
    eventually(
        lambda: product.condition(namespace, "MetricsAvailable")[:2] == ("False", "MetricsStale"),
        90,
        "stale metrics are called so",
    )
    assert product.ordered(namespace) == 1
