"""Whoever decides is woken when every router has reported, not by each of a hundred."""

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


async def test_while_no_router_is_known_a_report_wakes_nobody() -> None:
    telemetry = Telemetry(clock=lambda: 100.0, known=lambda: Scope(routers=(), clusters=(), endpoints=()))
    telemetry.receive("stranger", REPORT)
    assert not telemetry.changed.is_set()
