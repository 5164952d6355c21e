"""Envoy's report of a second (OpenTelemetry metrics) as numbers per edition and per server.

Envoy leaves out counters and histograms in which nothing happened, so that an idle edition costs little; gauges are
always there.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from millpond.api.protocol import GRPC_FAILURES
from millpond.router.config import edition_of, is_streams
from millpond.router.resources import cluster_of
from millpond_policies.histogram import BOUNDS_MS

_LONGEST_S = 60.0
Attributes: TypeAlias = Mapping[str, str]


@dataclass(slots=True)
class EditionCounts:
    requests: int = 0
    errors: int = 0
    sum_ms: float = 0.0
    histogram: tuple[int, ...] = ()
    failed_calls: int = 0
    """Of gRPC, by the server's status at their end; those that the router answered itself are also among `errors`."""
    in_flight: int = 0
    streams: int = 0
    stream_errors: int = 0
    failed_stream_calls: int = 0


@dataclass(slots=True)
class EndpointCounts:
    """Of streams, those that wait for their connection are among the active ones; requests are of both kinds."""

    active: int = 0
    pending: int = 0
    requests: int = 0
    streams: int = 0


@dataclass(slots=True)
class Report:
    """What one router did since its last report. `started_s`: 0.0 when it counted nothing."""

    received_s: float
    measured_s: float = 0.0
    started_s: float = 0.0
    editions: dict[str, EditionCounts] = field(default_factory=dict)
    endpoints: dict[str, EndpointCounts] = field(default_factory=dict)

    def window_s(self, before: "Report | None") -> float:
        """The time that the counts cover; a second, the interval of reports, where the router doesn't say."""
        if 0 < self.measured_s - self.started_s < _LONGEST_S:
            return self.measured_s - self.started_s
        since = self.measured_s - before.measured_s if before else 0.0
        return since if 0 < since < 2 else 1.0


def decode(body: bytes, received_s: float) -> Report:
    """Raises google.protobuf.message.DecodeError when it is no metrics request."""
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    report = Report(received_s)
    for metric in _metrics(request):
        note = _NOTES.get(metric.name)
        if note is not None:
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                note(report, {a.key: a.value.string_value for a in point.attributes}, point)
    return report


def _metrics(request: Any) -> Iterable[Any]:
    for resource in request.resource_metrics:
        for scope in resource.instrumentation_library_metrics:
            yield from scope.metrics


def _edition(report: Report, cluster: str) -> EditionCounts:
    return report.editions.setdefault(edition_of(cluster), EditionCounts())


def _cluster(attributes: Attributes) -> str:
    return cluster_of(attributes.get("envoy.cluster_name", ""))


def _endpoint(report: Report, attributes: Attributes) -> EndpointCounts:
    return report.endpoints.setdefault(attributes.get("envoy.endpoint_address", ""), EndpointCounts())


def _requests(report: Report, attributes: Attributes, point: Any) -> None:
    report.started_s = point.start_time_unix_nano / 1e9
    cluster = _cluster(attributes)
    if is_streams(cluster):
        _edition(report, cluster).streams += point.as_int
    else:
        _edition(report, cluster).requests += point.as_int


def _errors(report: Report, attributes: Attributes, point: Any) -> None:
    cluster = _cluster(attributes)
    if attributes.get("envoy.response_code_class") != "5":
        return
    if is_streams(cluster):
        _edition(report, cluster).stream_errors += point.as_int
    else:
        _edition(report, cluster).errors += point.as_int


def _failed_calls(report: Report, attributes: Attributes, point: Any) -> None:
    cluster = _cluster(attributes)
    if is_streams(cluster):
        _edition(report, cluster).failed_stream_calls += point.as_int
    else:
        _edition(report, cluster).failed_calls += point.as_int


def _in_flight(report: Report, attributes: Attributes, point: Any) -> None:
    report.measured_s = point.time_unix_nano / 1e9
    _edition(report, _cluster(attributes)).in_flight += point.as_int


def _times(report: Report, attributes: Attributes, point: Any) -> None:
    edition = _edition(report, _cluster(attributes))
    edition.sum_ms += point.sum
    edition.histogram = _bucketed(point.explicit_bounds, point.bucket_counts)


def _active(report: Report, attributes: Attributes, point: Any) -> None:
    if is_streams(attributes.get("envoy.cluster_name", "")):
        _endpoint(report, attributes).streams += point.as_int
    else:
        _endpoint(report, attributes).active += point.as_int


def _pending(report: Report, attributes: Attributes, point: Any) -> None:
    if is_streams(attributes.get("envoy.cluster_name", "")):
        _endpoint(report, attributes).streams += point.as_int
    else:
        _endpoint(report, attributes).pending += point.as_int


def _total(report: Report, attributes: Attributes, point: Any) -> None:
    _endpoint(report, attributes).requests += point.as_int


_NOTES: Mapping[str, Callable[[Report, Attributes, Any], None]] = {
    "cluster.upstream_rq_completed": _requests,
    "cluster.upstream_rq_xx": _errors,
    "cluster.upstream_rq_active": _in_flight,
    "cluster.upstream_rq_pending_active": _in_flight,
    "cluster.upstream_rq_time": _times,
    "cluster.endpoint.rq_active": _active,
    "cluster.endpoint.rq_pending_active": _pending,
    "cluster.endpoint.rq_total": _total,
    **{f"cluster.grpc.{status}": _failed_calls for status in GRPC_FAILURES},
}


def _bucketed(bounds: Iterable[float], counts: Iterable[int]) -> tuple[int, ...]:
    """Counts over BOUNDS_MS; a router of another version may have other bounds."""
    found_bounds = tuple(bounds)
    if found_bounds == BOUNDS_MS:
        return tuple(counts)
    found = [0] * (len(BOUNDS_MS) + 1)
    for bound, number in zip((*found_bounds, float("inf")), counts, strict=True):
        found[bisect_left(BOUNDS_MS, bound)] += number
    return tuple(found)
