"""Reports of routers are read whatever they hold: what cannot be is unknown, for that edition or server alone."""

from math import inf, nan
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from millpond.control.learn.knowledge import from_routers
from millpond.router.telemetry.ask import _loads
from millpond.router.telemetry.collector import Collected, Scope, Telemetry
from millpond.router.telemetry.otlp import _NOTES, decode
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.learning import Sample, learn
from millpond_policies.learn.sample import sound

from policies.building import FOUR_SLOTS, GOAL

CLUSTERS = ("shop/hostile/v1", "shop/quiet/v1")
ENDPOINTS = ("127.9.0.1:80", "127.9.0.2:80")
NAMES = tuple(_NOTES)
INT64 = st.sampled_from((0, 1, -1, 10**6, 2**63 - 1, -(2**63)))
FLOATS = st.sampled_from((0.0, 5.5, -1.0, nan, inf, -inf, 1e300))


def point_of(metric: Any, kind: str, cluster: str, endpoint: str | None) -> Any:
    point = getattr(metric, kind).data_points.add()
    for key, value in (("envoy.cluster_name", cluster), ("envoy.endpoint_address", endpoint)):
        if value is not None:
            attribute = point.attributes.add()
            attribute.key, attribute.value.string_value = key, value
    return point


def quiet(request: ExportMetricsServiceRequest) -> None:
    """Three requests of the other app, one of them running."""
    metrics = request.resource_metrics.add().instrumentation_library_metrics.add().metrics
    for name, number in (("upstream_rq_completed", 3), ("upstream_rq_active", 1)):
        metric = metrics.add()
        metric.name = f"cluster.{name}"
        point_of(metric, "sum", CLUSTERS[1], None).as_int = number
    metric = metrics.add()
    metric.name = "cluster.upstream_rq_time"
    point = point_of(metric, "histogram", CLUSTERS[1], None)
    point.explicit_bounds.extend(BOUNDS_MS)
    point.bucket_counts.extend([0] * 9 + [3] + [0] * (len(BOUNDS_MS) - 9))
    point.sum = 15.0
    metric = metrics.add()
    metric.name = "cluster.endpoint.rq_active"
    point_of(metric, "gauge", CLUSTERS[1], ENDPOINTS[1]).as_int = 1


@st.composite
def requests(draw: st.DrawFn) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    quiet(request)
    metrics = request.resource_metrics.add().instrumentation_library_metrics.add().metrics
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)):
        metric = metrics.add()
        metric.name = name
        kind = draw(st.sampled_from(("sum", "gauge", "histogram", "summary", "exponential_histogram", None)))
        if kind is None or not hasattr(metric, kind):
            continue
        point = point_of(metric, kind, CLUSTERS[0], ENDPOINTS[0])
        fields = {f.name for f in point.DESCRIPTOR.fields}
        if "as_int" in fields and draw(st.booleans()):
            point.as_int = draw(INT64)
        elif "as_double" in fields and draw(st.booleans()):
            point.as_double = draw(FLOATS)
        if "explicit_bounds" in fields:
            point.explicit_bounds.extend(draw(st.lists(FLOATS, max_size=3) | st.just(list(BOUNDS_MS))))
            point.bucket_counts.extend(draw(st.lists(st.sampled_from((0, 1, 2**64 - 1)), max_size=4)))
            point.sum = draw(FLOATS)
        if "time_unix_nano" in fields:
            point.time_unix_nano = draw(st.sampled_from((0, 1, 10**18, 2**64 - 1)))
            point.start_time_unix_nano = draw(st.sampled_from((0, 1, 10**18, 2**64 - 1)))
    return request


def told(body: bytes) -> Collected:
    known = Scope(routers=("r1",), clusters=CLUSTERS, endpoints=ENDPOINTS)
    telemetry = Telemetry(clock=lambda: 100.0, known=lambda: known)
    telemetry.receive("r1", body)
    collected = telemetry.collect(100.0)
    assert collected is not None
    return collected


@settings(max_examples=500, deadline=None)
@given(requests())
def test_whatever_is_reported_of_one_app_the_other_is_seen_as_it_is(
    request: ExportMetricsServiceRequest,
) -> None:
    collected = told(request.SerializeToString())
    quiet_second = collected.editions[CLUSTERS[1]]
    assert (quiet_second.requests, quiet_second.sum_ms, quiet_second.in_flight) == (3, 15.0, 1)
    assert not quiet_second.unknown
    assert collected.endpoints[ENDPOINTS[1]].active == 1
    assert collected.endpoints[ENDPOINTS[1]].at_s == 100.0
    for app in ("shop/hostile", "shop/quiet"):
        seen = from_routers(collected, app, "v1")
        sample = Sample(
            at_s=seen.at_s, window_s=seen.window_s, requests=seen.requests, errors=seen.errors,
            sum_ms=seen.sum_ms, histogram=seen.histogram, in_flight=seen.in_flight, serving=1,
            complete=seen.complete,
        )  # fmt: skip
        assert sound(sample)
        learn(FOUR_SLOTS, sample, GOAL)
    load = collected.endpoints[ENDPOINTS[0]]
    assert min(load.active, load.pending, load.streams, load.total) >= 0


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param("cluster.upstream_rq_completed", -1, id="fewer than no requests"),
        pytest.param("cluster.upstream_rq_completed", 2**62, id="more requests than there are"),
        pytest.param("cluster.upstream_rq_active", -1, id="fewer than none in flight"),
        pytest.param("cluster.upstream_rq_time", 1, id="a number where times should be"),
    ],
)
def test_an_edition_with_a_figure_that_cannot_be_is_not_completely_known(name: str, number: int) -> None:
    request = ExportMetricsServiceRequest()
    quiet(request)
    metric = request.resource_metrics[0].instrumentation_library_metrics[0].metrics.add()
    metric.name = name
    point_of(metric, "sum", CLUSTERS[0], None).as_int = number
    collected = told(request.SerializeToString())
    assert collected.complete
    assert not from_routers(collected, "shop/hostile", "v1").complete
    assert from_routers(collected, "shop/quiet", "v1").complete


def test_a_server_with_a_figure_that_cannot_be_is_not_seen_idle() -> None:
    """One router says -1 and another 1: together that is not zero."""
    request = ExportMetricsServiceRequest()
    quiet(request)
    metric = request.resource_metrics[0].instrumentation_library_metrics[0].metrics.add()
    metric.name = "cluster.endpoint.rq_active"
    point_of(metric, "gauge", CLUSTERS[0], ENDPOINTS[0]).as_int = -1
    assert told(request.SerializeToString()).endpoints[ENDPOINTS[0]].at_s == 0.0


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_report_are_refused_as_such(body: bytes) -> None:
    try:
        decode(body, 1.0)
    except DecodeError:
        pass


def line(what: str, number: str, endpoint: str = ENDPOINTS[0]) -> str:
    return f'envoy_cluster_endpoint_rq_{what}{{envoy_cluster_name="c",envoy_endpoint_address="{endpoint}"}} {number}\n'


@pytest.mark.parametrize("number", ["NaN", "1e30", "-1", "9" * 5000, "", "٣", "1 2"])
def test_a_server_whose_count_is_no_number_is_unknown_and_others_are_known(number: str) -> None:
    text = line("active", number) + line("active", "2", ENDPOINTS[1])
    found = _loads([text], ENDPOINTS, 1.0)
    assert ENDPOINTS[0] not in found
    assert found[ENDPOINTS[1]].active == 2


@settings(max_examples=200)
@given(
    st.lists(st.text(max_size=80) | st.sampled_from((line("active", "3"), line("total", "1e9"))), max_size=6)
)
def test_any_answer_of_a_router_is_read(texts: list[str]) -> None:
    for load in _loads(texts, ENDPOINTS, 1.0).values():
        assert min(load.active, load.pending, load.streams, load.total) >= 0
