"""Whoever decides is woken when every router has reported, not by each of a hundred; a report counts once."""

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from millpond.router.telemetry.collector import Scope, Telemetry

REPORT = ExportMetricsServiceRequest().SerializeToString()


async def test_the_last_routers_report_wakes_and_those_before_it_do_not() -> None:
    known = Scope(routers={"one", "two"}, clusters=(), endpoints=())
    telemetry = Telemetry(clock=lambda: 100.0, known=lambda: known)
    for _ in range(2):
        telemetry.receive("one", REPORT)
        telemetry.receive("one", REPORT)
        telemetry.receive("stranger", REPORT)
        assert not telemetry.changed.is_set()
        telemetry.receive("two", REPORT)
        assert telemetry.changed.is_set()
        collected = telemetry.collect(101.0)
        assert collected is not None
        assert collected.complete
        telemetry.changed.clear()


@pytest.mark.parametrize(
    ("moments_s", "counted"),
    [
        pytest.param((5.0, 5.0), 3, id="the same report twice counts once"),
        pytest.param((5.0, 6.0), 6, id="the same figures a second later are new ones"),
        pytest.param((5.0, 4.0), 6, id="and so they are when the router's clock was set back"),
    ],
)
async def test_a_report_counts_once(moments_s: tuple[float, float], counted: int) -> None:
    known = Scope(routers={"one"}, clusters={"shop/cart/v1"}, endpoints=("127.9.0.1:80",))
    telemetry = Telemetry(clock=lambda: 100.0, known=lambda: known)
    for moment_s in moments_s:
        telemetry.receive("one", report(moment_s, requests=3))
    collected = telemetry.collect(101.0)
    assert collected is not None
    assert collected.editions["shop/cart/v1"].requests == counted
    assert collected.endpoints["127.9.0.1:80"].total == counted


def report(measured_s: float, requests: int) -> bytes:
    """So many requests of one edition and of its server."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().instrumentation_library_metrics.add().metrics
    for name, number in (
        ("upstream_rq_active", 0),
        ("upstream_rq_completed", requests),
        ("endpoint.rq_total", requests),
    ):
        metric = metrics.add()
        metric.name = f"cluster.{name}"
        point = metric.sum.data_points.add()
        point.as_int, point.time_unix_nano = number, int(measured_s * 1e9)
        for key, value in (
            ("envoy.cluster_name", "shop/cart/v1"),
            ("envoy.endpoint_address", "127.9.0.1:80"),
        ):
            attribute = point.attributes.add()
            attribute.key, attribute.value.string_value = key, value
    return request.SerializeToString()


async def test_while_no_router_is_known_a_report_wakes_nobody() -> None:
    telemetry = Telemetry(clock=lambda: 100.0, known=lambda: Scope(routers=(), clusters=(), endpoints=()))
    telemetry.receive("stranger", REPORT)
    assert not telemetry.changed.is_set()
