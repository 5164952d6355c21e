"""What a router knows when it starts: where its control plane is, where it listens, what it measures.

Everything else comes by xDS. A router listens only after it got its first configuration, so that it never answers from
an empty one, and keeps the last one while the operator is away.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from millpond.api.protocol import GRPC_FAILURES
from millpond.router.envoy.limits import overload_manager
from millpond.router.envoy.listeners import Edge, apps_listeners, socket_address, stats_listener
from millpond.router.envoy.resources import ADS_SOURCE
from millpond.router.trust.tls import transport_socket
from millpond_policies.learn.histogram import BOUNDS_MS

Json: TypeAlias = dict[str, Any]
ROUTER_HEADER = "x-millpond-router"
"""gRPC metadata of telemetry: the router's key, since the reports themselves don't say whose they are."""
_TYPES = "type.googleapis.com/envoy.extensions"
_MEASURED = (
    # Editions only: their names have slashes and no dots, those of the router's own clusters don't. After a ~: streams.
    r"cluster\.[^.~]+/[^.~]+\.upstream_rq_(completed|[1-5]xx|active|pending_active|time|retry|cancelled|rx_reset|tx_reset)",
    r"cluster\.[^.~]+/[^.~]+\.membership_(healthy|total)",
    r"cluster\.[^.]+/[^.]+~[^.]+\.upstream_rq_(completed|[1-5]xx)",
    rf"cluster\.[^.]+/[^.]+\.grpc\.({'|'.join(map(str, GRPC_FAILURES))})",
    r"http\.apps\.downstream_(rq_(total|active|[1-5]xx)|cx_(total|active))",
    r".*\.expiration_unix_time_seconds",
    r"listener\.[^/]*\.downstream_global_cx_overflow",
    r"overload\.envoy\.(resource_monitors|overload_actions)\.[a-z_]+\.(active|pressure|scale_percent)",
    r"control_plane\.connected_state",
    r"server\.(live|uptime|memory_allocated)",
)

_UNREPORTED = ("healthy", ".cx_active", ".membership_total", ".expiration_unix_time_seconds")
"""Measured for Prometheus; of no use to the operator, for whom gauges are most of a report."""


def router_key(name: str, stats: str) -> str:
    """Two routers may have got the same name by mistake, but not the same address as well."""
    return f"{name}@{stats}"


def bootstrap(
    *,
    name: str,
    xds: str,
    edge: Edge,
    stats: str,
    admin: Path | None,
    secrets: Path,
    tls: bool = False,
) -> Json:
    """Envoy's bootstrap. `xds`: "unix:/path" or "host:port", several with commas between them.

    `stats`: "ip:port"; `admin`: a socket's path.

    `secrets`: the folder with Envoy's secret files. `tls`: whether there are those for the way to the operator.
    Routers that share an address (`edge.reuse_port`) must differ in `stats`.

    Without an admin socket there are no Prometheus statistics either, so `millpond router` always gives one.
    """
    channel = _channel(name, stats)
    static: Json = {
        "clusters": [_control(xds, secrets if tls else None)],
        "listeners": list(apps_listeners(edge, secrets)),
    }
    found: Json = {
        "node": {"id": name, "cluster": "millpond-routers", "metadata": {"stats": stats}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [channel],
            },
            "cds_config": ADS_SOURCE,
        },
        "static_resources": static,
        "overload_manager": overload_manager(edge.limits),
        "stats_flush_interval": "1s",
        "stats_sinks": [_sink(channel)],
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [_regex(pattern) for pattern in _MEASURED]}},
            "histogram_bucket_settings": [{"match": {"suffix": "rq_time"}, "buckets": list(BOUNDS_MS)}],
        },
    }
    if admin is not None:
        found["admin"] = {"address": {"pipe": {"path": str(admin), "mode": 0o600}}}
        static["clusters"].append(_static("admin", {"pipe": {"path": str(admin)}}))
        static["listeners"].append(stats_listener(stats))
    return found


def _regex(pattern: str) -> Json:
    return {"safe_regex": {"regex": pattern}}


def _channel(name: str, stats: str) -> Json:
    # Envoy's default back-off reaches 30 s: half a minute without news after a restart of the operator.
    back_off = {"base_interval": "0.1s", "max_interval": "1s"}
    return {
        "envoy_grpc": {"cluster_name": "xds", "retry_policy": {"retry_back_off": back_off}},
        "initial_metadata": [{"key": ROUTER_HEADER, "value": router_key(name, stats)}],
    }


def _control(xds: str, secrets: Path | None) -> Json:
    operators = xds.split(",")
    cluster = _static("xds", *map(_address, operators))
    if not xds.startswith("unix:"):
        # Whatever the name resolves to: of ::1 and 127.0.0.1, only one may have a listener.
        kind = "LOGICAL_DNS" if len(operators) == 1 else "STRICT_DNS"
        cluster |= {"type": kind, "dns_lookup_family": "ALL"}
    if len(operators) > 1:
        cluster |= _who_listens()
    if secrets is not None:
        hosts = [operator.rpartition(":")[0].strip("[]") for operator in operators]
        cluster["transport_socket"] = transport_socket(hosts, secrets)
    cluster["circuit_breakers"] = {
        "thresholds": [{"max_requests": 1_000_000, "max_pending_requests": 1_000_000}]
    }
    keepalive = {"interval": "10s", "timeout": "5s"}
    cluster["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}},
        }
    }
    return cluster


def _who_listens() -> Json:
    """Of several operators only the one that leads listens: discovery and telemetry go to that one alone."""
    check = {"timeout": "1s", "interval": "0.25s", "no_traffic_interval": "0.25s", "tcp_health_check": {}}
    return {
        "health_checks": [{**check, "unhealthy_threshold": 1, "healthy_threshold": 1}],
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "close_connections_on_host_health_failure": True,
    }


def _static(name: str, *addresses: Json) -> Json:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
    }


def _address(text: str) -> Json:
    if text.startswith("unix:"):
        return {"pipe": {"path": text.removeprefix("unix:")}}
    return socket_address(text)


def _sink(channel: Json) -> Json:
    return {
        "name": "envoy.stat_sinks.open_telemetry",
        "typed_config": {
            "@type": f"{_TYPES}.stat_sinks.open_telemetry.v3.SinkConfig",
            "grpc_service": channel,
            "report_counters_as_deltas": True,
            "report_histograms_as_deltas": True,
            "emit_tags_as_attributes": True,
            "use_tag_extracted_name": True,
            "custom_metric_conversions": _dropped(_UNREPORTED),
        },
    }


def _dropped(endings: Sequence[str]) -> Json:
    matching = f"{_TYPES}.matching.common_inputs.stats.v3"
    name = {"name": "name", "typed_config": {"@type": f"{matching}.StatFullNameMatchInput"}}
    drop = {"@type": f"{_TYPES}.stat_sinks.open_telemetry.v3.SinkConfig.DropAction"}
    ends = [{"single_predicate": {"input": name, "value_match": {"suffix": ending}}} for ending in endings]
    matcher = {
        "predicate": {"or_matcher": {"predicate": ends}},
        "on_match": {"action": {"name": "otlp_metric_drop_action", "typed_config": drop}},
    }
    return {"matcher_list": {"matchers": [matcher]}}
