"""Envoy's report of a second (OpenTelemetry metrics) as numbers per edition and per server.

Envoy leaves out counters and histograms in which nothing happened, so that an idle edition costs little; gauges are
always there.

A figure that cannot be (negative, not a whole number, a histogram of another shape) makes that edition, or that server,
unknown in this report, and nothing else.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint

from millpond.api.protocol import GRPC_FAILURES
from millpond.router.config import edition_of, is_streams
from millpond.router.envoy.resources import cluster_of
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.sample import MOST_COUNTED, SHORTEST_S, SLOWEST_MS

_SHORTEST_S, _LONGEST_S = SHORTEST_S, 60.0
_MEASURED = "cluster.upstream_rq_active"
"""A gauge, so it is always there."""
Attributes: TypeAlias = Mapping[str, str]


@dataclass(slots=True)
class EditionCounts:
    spoiled: bool = False
    """A figure could not be: nothing is known of this edition."""
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

    spoiled: bool = False
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

    def repeats(self, before: "Report") -> bool:
        """The router's last report again: nobody measures the same twice at one moment. (Its clock may be set back, so
        an earlier moment says nothing.)"""
        same = (self.editions, self.endpoints) == (before.editions, before.endpoints)
        return same and 0.0 < self.measured_s == before.measured_s

    def window_s(self, before: "Report | None") -> float:
        """The time that the counts cover; a second, the interval of reports, where the router doesn't say."""
        if _SHORTEST_S <= self.measured_s - self.started_s < _LONGEST_S:
            return self.measured_s - self.started_s
        since = self.measured_s - before.measured_s if before else 0.0
        return since if _SHORTEST_S <= since < 2 else 1.0


class Impossible(ValueError):
    """A figure that cannot be."""


def decode(body: bytes, received_s: float) -> Report:
    """Raises google.protobuf.message.DecodeError when it is no metrics request, whatever the bytes are."""
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    report = Report(received_s)
    for metric in _metrics(request):
        note, kind = _NOTES.get(metric.name), metric.WhichOneof("data")
        if note is None or kind is None:
            continue
        points = getattr(metric, kind).data_points
        if metric.name == _MEASURED and points:
            report.measured_s = points[0].time_unix_nano / 1e9
        for point in points:
            if kind in ("gauge", "sum") and not point.as_int and point.HasField("as_int"):
                continue  # what is absent is zero, and with many servers nearly all are
            attributes = {a.key: a.value.string_value for a in point.attributes}
            try:
                note(report, attributes, point)
            except Impossible:
                _spoil(report, metric.name, attributes)
    return report


def _spoil(report: Report, name: str, attributes: Attributes) -> None:
    if name.startswith("cluster.endpoint."):
        _endpoint(report, attributes).spoiled = True
    else:
        _edition(report, _cluster(attributes)).spoiled = True


def _count(point: Any) -> int:
    number = point.as_int if isinstance(point, NumberDataPoint) and point.HasField("as_int") else -1
    if not 0 <= number <= MOST_COUNTED:
        raise Impossible(number)
    return int(number)


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
        _edition(report, cluster).streams += _count(point)
    else:
        _edition(report, cluster).requests += _count(point)


def _errors(report: Report, attributes: Attributes, point: Any) -> None:
    cluster = _cluster(attributes)
    if attributes.get("envoy.response_code_class") != "5":
        return
    if is_streams(cluster):
        _edition(report, cluster).stream_errors += _count(point)
    else:
        _edition(report, cluster).errors += _count(point)


def _failed_calls(report: Report, attributes: Attributes, point: Any) -> None:
    cluster = _cluster(attributes)
    if is_streams(cluster):
        _edition(report, cluster).failed_stream_calls += _count(point)
    else:
        _edition(report, cluster).failed_calls += _count(point)


def _in_flight(report: Report, attributes: Attributes, point: Any) -> None:
    _edition(report, _cluster(attributes)).in_flight += _count(point)


def _times(report: Report, attributes: Attributes, point: Any) -> None:
    if not isinstance(point, HistogramDataPoint):
        raise Impossible(type(point))
    edition, counts = (
        _edition(report, _cluster(attributes)),
        _bucketed(point.explicit_bounds, point.bucket_counts),
    )
    if not 0 <= point.sum <= SLOWEST_MS * (sum(counts) + 1):
        raise Impossible(point.sum)
    edition.sum_ms += point.sum
    edition.histogram = counts


def _active(report: Report, attributes: Attributes, point: Any) -> None:
    if is_streams(attributes.get("envoy.cluster_name", "")):
        _endpoint(report, attributes).streams += _count(point)
    else:
        _endpoint(report, attributes).active += _count(point)


def _pending(report: Report, attributes: Attributes, point: Any) -> None:
    if is_streams(attributes.get("envoy.cluster_name", "")):
        _endpoint(report, attributes).streams += _count(point)
    else:
        _endpoint(report, attributes).pending += _count(point)


def _total(report: Report, attributes: Attributes, point: Any) -> None:
    _endpoint(report, attributes).requests += _count(point)


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
    """Counts over BOUNDS_MS; a router of another version may have other bounds. Raises Impossible."""
    found_bounds, numbers = tuple(bounds), tuple(counts)
    if len(numbers) != len(found_bounds) + 1 or sum(numbers) > MOST_COUNTED:
        raise Impossible("a histogram of another shape")
    if found_bounds == BOUNDS_MS:
        return numbers
    found = [0] * (len(BOUNDS_MS) + 1)
    for bound, number in zip((*found_bounds, float("inf")), numbers, strict=True):
        found[bisect_left(BOUNDS_MS, bound)] += number
    return tuple(found)
