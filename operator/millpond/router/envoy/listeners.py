"""Where a router listens: for clients' requests, in plain text and by TLS, and for whoever reads its statistics.

Clients speak HTTP/1.0, HTTP/1.1 or HTTP/2 (by TLS as agreed at the handshake; in plain text without asking). Nobody's
word on where a request came from counts unless so many proxies in front are trusted: without any, what a client says
in `x-forwarded-*`, `forwarded` and `x-real-ip` is taken away, and its `x-request-id` is replaced. Envoy's own headers
(`x-envoy-*`), which could change timeouts and retries, are taken from nobody, whatever his address.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from millpond.router.envoy.limits import BUFFER_BYTES, Limits
from millpond.router.envoy.resources import ADS_SOURCE, HTTP2_WINDOWS, ROUTES
from millpond.router.envoy.routes import STATEFUL_SESSION
from millpond.router.trust.certificates import by_names, transport_socket

Json: TypeAlias = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions"
_HEARSAY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix",
            "x-forwarded-scheme", "x-forwarded-ssl", "x-real-ip")  # fmt: skip
HEALTH, READY = "/healthz", "/readyz"
"""On the listener for statistics: a worker answers; it has routes and listens to clients as well."""
_MAX_STREAMS = 256
"""Of one HTTP/2 connection: as other servers have it, and with the windows a bound of what one client can occupy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """How clients reach a router. Addresses: "ip:port"."""

    listen: str
    listen_tls: str | None = None
    certificates: Sequence[Path] = field(default=())
    """The folders of the certificates that the TLS listener shows."""
    trusted_hops: int = 0
    """So many proxies in front tell the truth about the client's address and scheme."""
    limits: Limits = field(default_factory=Limits)
    reuse_port: bool = False
    """Another router may listen on the same addresses, to take over from this one."""

    @property
    def addresses(self) -> Sequence[str]:
        return (self.listen,) if self.listen_tls is None else (self.listen, self.listen_tls)


def apps_listeners(edge: Edge, secrets: Path) -> Sequence[Json]:
    """`secrets`: the folder with the files that `certificates.secret_files` made."""
    made = [_apps_listener("apps", edge.listen, edge)]
    if edge.listen_tls is not None:
        made.append(_by_tls(_apps_listener("apps-tls", edge.listen_tls, edge), edge.certificates, secrets))
    return made


def _by_tls(listener: Json, folders: Sequence[Path], secrets: Path) -> Json:
    """One chain for each certificate, so that a broken one holds up no other, and one with all for other names."""
    (plain,) = listener["filter_chains"]
    chains = [
        {
            **plain,
            "filter_chain_match": {"server_names": names},
            "transport_socket": transport_socket(some, secrets),
        }
        for names, some in by_names(folders).items()
    ]
    inspector = {"@type": f"{_TYPES}.filters.listener.tls_inspector.v3.TlsInspector"}
    return {
        **listener,
        "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}],
        "filter_chains": chains,
        "default_filter_chain": {**plain, "transport_socket": transport_socket(folders, secrets)},
    }


def _apps_listener(name: str, address: str, edge: Edge) -> Json:
    listener = _listener(name, address, {
        "stat_prefix": "apps",
        "rds": {"route_config_name": ROUTES, "config_source": ADS_SOURCE},
        **_origin(edge.trusted_hops),
        "normalize_path": True,
        "strip_trailing_host_dot": True,
        "request_headers_timeout": f"{edge.limits.headers_s}s",
        "stream_idle_timeout": "300s",
        "common_http_protocol_options": {"idle_timeout": f"{edge.limits.idle_s}s"},
        "http_protocol_options": {"accept_http_10": True},
        "http2_protocol_options": {**HTTP2_WINDOWS, "max_concurrent_streams": _MAX_STREAMS, "allow_connect": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [
            {
                "name": STATEFUL_SESSION,
                "typed_config": {"@type": f"{_TYPES}.filters.http.stateful_session.v3.StatefulSession"},
            },
            {
                "name": "envoy.filters.http.grpc_stats",
                "typed_config": {"@type": f"{_TYPES}.filters.http.grpc_stats.v3.FilterConfig"},
            },
            _ROUTER_FILTER,
        ],
    })  # fmt: skip
    # What tells it from the listener for statistics when a router that is to end stops taking connections.
    listener |= {"traffic_direction": "INBOUND", "enable_reuse_port": edge.reuse_port}
    listener["listener_filters_timeout"] = listener["filter_chains"][0][
        "transport_socket_connect_timeout"
    ] = f"{edge.limits.headers_s}s"
    return {**listener, "per_connection_buffer_limit_bytes": BUFFER_BYTES}


def _origin(trusted_hops: int) -> Json:
    """Whom to believe about a request's client."""
    found: Json = {
        "use_remote_address": True,
        "xff_num_trusted_hops": trusted_hops,
        "preserve_external_request_id": trusted_hops > 0,
        # Without any, private addresses would be internal, and those could change timeouts and retries.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
    }
    if trusted_hops == 0:
        package = f"{_TYPES}.http.early_header_mutation.header_mutation.v3"
        typed = {
            "@type": f"{package}.HeaderMutation",
            "mutations": [{"remove": name} for name in _HEARSAY],
        }
        name = "envoy.http.early_header_mutation.header_mutation"
        found["early_header_mutation_extensions"] = [{"name": name, "typed_config": typed}]
    return found


def stats_listener(stats: str) -> Json:
    """Only GET of exactly these paths reaches the admin socket, which could also stop the router. No limit holds here:
    else a flood of clients would get routers restarted, and hide them from the operator."""
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    ready = {"cluster": "admin", "prefix_rewrite": "/ready", "timeout": "2s"}
    routes = [
        {"match": {"path": "/stats/prometheus", "headers": [get]}, "route": {"cluster": "admin"}},
        {"match": {"path": READY, "headers": [get]}, "route": ready},
        {
            "match": {"path": HEALTH, "headers": [get]},
            "direct_response": {"status": 200, "body": {"inline_string": "ok\n"}},
        },
    ]
    host = {"name": "stats", "domains": ["*"], "routes": routes}
    listener = _listener("stats", stats, {
        "stat_prefix": "stats",
        "route_config": {"name": "stats", "virtual_hosts": [host]},
        "http_filters": [_ROUTER_FILTER],
    })  # fmt: skip
    return {**listener, "ignore_global_conn_limit": True, "bypass_overload_manager": True}


_ROUTER_FILTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
}


def _keepalive() -> Sequence[Json]:
    """A client that vanished is noticed within 90 s; its silent stream would otherwise count for an hour."""
    wanted = (("SOL_SOCKET", "SO_KEEPALIVE", 1), ("IPPROTO_TCP", "TCP_KEEPIDLE", 60),
              ("IPPROTO_TCP", "TCP_KEEPINTVL", 10), ("IPPROTO_TCP", "TCP_KEEPCNT", 3))  # fmt: skip
    return [
        {"level": int(getattr(socket, level)), "name": getattr(socket, name), "int_value": value}
        for level, name, value in wanted
        if hasattr(socket, name)
    ]


def _listener(name: str, address: str, manager: Json) -> Json:
    package = f"{_TYPES}.filters.network.http_connection_manager.v3"
    typed = {"@type": f"{package}.HttpConnectionManager", **manager}
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
    # Unless wanted: with port re-use a second router on the same address would quietly take half of the requests.
    return {"name": name, "address": socket_address(address), "filter_chains": [chain], "enable_reuse_port": False,
            "socket_options": _keepalive()}  # fmt: skip


def socket_address(text: str) -> Json:
    """ "ip:port" or "host:port", with brackets around an IPv6 address. `[::]`: clients of both families."""
    host, _, port = text.rpartition(":")
    address = host.strip("[]")
    both = {"ipv4_compat": True} if address == "::" else {}
    return {"socket_address": {"address": address, "port_value": int(port), **both}}
