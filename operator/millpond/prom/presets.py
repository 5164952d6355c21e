"""Response time of apps that another proxy (or the app server itself) measures.

A preset knows the metric names; the app's author gives only label values, which stay literals. The namespace
matcher is always there, so nobody reads another namespace's metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from millpond.prom import promql
from millpond.prom.errors import PromRejected

_RESERVED = frozenset(
    {"le", "quantile", "namespace", "exported_namespace", "destination_service_namespace", "reporter"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    name: str
    count: str
    """Counter of measured response times."""
    total: str
    """Their sum."""
    buckets: str | None
    ms: float
    """Milliseconds in the unit of ``total`` and of the buckets' bounds."""
    answers: str
    """The counter of answers by status that errors are counted with; may be ``count``."""
    error: str | None
    """Matcher of server errors among the answers; None: errors are not counted."""
    requests: str | None = None
    """A counter of requests that is more prompt than ``count``."""
    has_status: str = ""
    """Matcher of answers that have a status at all; without any, errors are unknown rather than none."""
    namespace: tuple[tuple[str, ...], ...] = (('namespace="{}"',),)
    """Alternatives of matchers that confine a selector to a namespace."""
    fixed: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    """Labels of which one at least must be given, to tell the app from its neighbours; empty: any label."""


ENVOY = Preset(
    name="envoy",
    count="envoy_cluster_upstream_rq_time_count",
    total="envoy_cluster_upstream_rq_time_sum",
    buckets="envoy_cluster_upstream_rq_time_bucket",
    ms=1,
    answers="envoy_cluster_upstream_rq_xx",
    # Envoy adds to histograms only when it flushes, every five seconds; counters are up to date.
    requests="envoy_cluster_upstream_rq_completed",
    error='envoy_response_code_class="5"',
    identity=("envoy_cluster_name",),
)
NGINX = Preset(
    name="nginx-ingress",
    count="nginx_ingress_controller_request_duration_seconds_count",
    total="nginx_ingress_controller_request_duration_seconds_sum",
    buckets="nginx_ingress_controller_request_duration_seconds_bucket",
    ms=1000,
    answers="nginx_ingress_controller_request_duration_seconds_count",
    error='status=~"5.."',
    has_status='status!=""',
    # The Ingress' namespace; Prometheus renames it unless it honours the controller's labels.
    namespace=(('exported_namespace="{}"',), ('exported_namespace=""', 'namespace="{}"')),
    identity=("ingress", "host", "service", "exported_service"),
)
ISTIO = Preset(
    name="istio",
    count="istio_request_duration_milliseconds_count",
    total="istio_request_duration_milliseconds_sum",
    buckets="istio_request_duration_milliseconds_bucket",
    ms=1,
    answers="istio_requests_total",
    error='response_code=~"5.."',
    has_status='response_code!=""',
    namespace=(('destination_service_namespace="{}"',),),
    fixed=('reporter="destination"',),
    identity=("destination_workload", "destination_service", "destination_service_name", "destination_app"),
)
OPEN_LIBERTY = Preset(
    name="open-liberty",
    count="http_server_request_duration_seconds_count",
    total="http_server_request_duration_seconds_sum",
    buckets="http_server_request_duration_seconds_bucket",
    ms=1000,
    answers="http_server_request_duration_seconds_count",
    error='http_response_status_code=~"5.."',
    has_status='http_response_status_code!=""',
)
_LIBERTY_SERVLET = replace(
    OPEN_LIBERTY,
    count="servlet_request_total",
    total="servlet_responseTime_total_seconds",
    buckets=None,
    answers="servlet_request_total",
    error=None,
)

PRESETS: Mapping[str, Preset] = MappingProxyType({p.name: p for p in (ENVOY, NGINX, ISTIO, OPEN_LIBERTY)})


def chosen(preset: str, labels: Mapping[str, str], percentile: float | None) -> Preset:
    """The preset of that name, checked against what is asked of it; raises PromRejected.

    Open Liberty with a ``servlet`` label means its servlet metrics, which know the mean only.
    """
    if preset not in PRESETS:
        raise PromRejected(f"preset {preset!r} is not known; there are {', '.join(sorted(PRESETS))}")
    found = PRESETS[preset]
    if reserved := sorted(_RESERVED & labels.keys()):
        raise PromRejected(f"label {reserved[0]} is set by Millpond and can't be given")
    if not labels or (found.identity and not labels.keys() & set(found.identity)):
        wanted = " or ".join(found.identity) or "which servers are the app's (job, container, …)"
        raise PromRejected(f"preset {preset} needs a label that tells the app: {wanted}")
    if found is OPEN_LIBERTY and "servlet" in labels:
        found = _LIBERTY_SERVLET
    if percentile is not None and found.buckets is None:
        raise PromRejected(
            f"preset {preset} with label servlet has no histogram, so no percentile: "
            "use an averageResponseTime goal"
        )
    return found


def question(preset: Preset, namespace: str, labels: Mapping[str, str], window_s: float) -> str:
    """One PromQL query for everything that is wanted of one app, evaluated at one moment."""
    window = promql.seconds(window_s)

    def over(metric: str, of: str, *extra: str) -> str:
        return " or ".join(of.format(s) for s in _selectors(preset, metric, namespace, labels, extra))

    increase = f"increase({{}}[{window}])"
    measured = f"sum({over(preset.count, increase)})"
    times = over(preset.count, "timestamp({})")
    instances = "by (instance,job)"
    seen = f"count {instances} ({over(preset.count, f'last_over_time({{}}[{window}])')})"
    silent = f"count {instances} ({over(preset.count, 'last_over_time({}[1h])')}) and on (instance,job) up"
    wanted = {
        "requests": f"(sum({over(preset.requests or preset.count, increase)}) or {measured})",
        "measured": measured,
        "total": f"sum({over(preset.total, increase)})",
        "at": f"max({times})",
        "samples": f"max({over(preset.count, f'count_over_time({{}}[{window}])')})",
        "reporting": f"count(max {instances} ({times}) > time() - {window_s / 2:g})",
        "before": f"count(count {instances} ({over(preset.count, f'{{}} offset {window}')}))",
        "expected": f"count({seen} or ({silent}))",
    }
    if preset.error:
        errors = f"sum({over(preset.answers, increase, preset.error)})"
        none = f"0 * sum({over(preset.answers, increase, preset.has_status)})"
        wanted["errors"] = f"({errors} or {none})"
    if preset.buckets:
        wanted["bucket"] = f"sum by (le) ({over(preset.buckets, increase)})"
    return promql.parts(**wanted)


def _selectors(
    preset: Preset, metric: str, namespace: str, labels: Mapping[str, str], extra: tuple[str, ...]
) -> tuple[str, ...]:
    """One selector per alternative of the namespace matcher."""
    own = promql.matchers(labels)
    confined = [
        [m.format(promql.checked_namespace(namespace)) for m in alternative]
        for alternative in preset.namespace
    ]
    return tuple(promql.selector(metric, *c, *preset.fixed, *own, *extra) for c in confined)
