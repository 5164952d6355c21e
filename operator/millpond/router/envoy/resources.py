"""One app's routes as Envoy resources, serialised once and shared by all routers.

Resources are kept as protobuf bytes of the *enclosing* message with one element: concatenation is how protobuf merges
repeated fields, so that a response about 1,000 apps is one join.

Timeouts: unless a route says otherwise, nothing limits the whole of a request (downloads, streams and slow reports are
legitimate); five minutes of silence end it (in the bootstrap), an hour's a long-lived stream (in its routes). A server
has 2 s to accept a connection, then another one is tried.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2  # noqa: F401 (registers the type)
from envoy.extensions.http.stateful_session.cookie.v3 import cookie_pb2  # noqa: F401
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2  # noqa: F401
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2  # noqa: F401
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format

from millpond.api.protocol import Protocol
from millpond.router.config import AppRoutes, EditionRoute, app_of, cluster_name, edition_of, streams_name
from millpond.router.envoy.limits import BUFFER_BYTES
from millpond.router.envoy.routes import COOKIES, prefixes, shared, shared_host, virtual_hosts

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
ROUTES = "apps"
"""The name of the one route configuration."""
ADS_SOURCE = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
"""Where Envoy gets what it waits for before it listens."""

HTTP2_WINDOWS = {"initial_stream_window_size": 1 << 18, "initial_connection_window_size": 1 << 20}
"""Bytes that may be under way before the receiver has taken them: enough for 40 Mbit/s and stream over 50 ms, and the
bound of what a slow receiver costs in memory. Envoy's own are 16 MiB and more."""

_NO_LIMIT = 1_000_000
_CLUSTER = {
    "type": "EDS",
    "eds_cluster_config": {
        "eds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "5s"}
    },
    "connect_timeout": "2s",
    "upstream_connection_options": {
        # A node that vanished ends its streams within 90 s.
        "tcp_keepalive": {"keepalive_time": 60, "keepalive_interval": 10, "keepalive_probes": 3}
    },
    "per_connection_buffer_limit_bytes": BUFFER_BYTES,
    "lb_policy": "LEAST_REQUEST",
    "least_request_lb_config": {"choice_count": 3},
    "common_lb_config": {
        # With the default of 50 % a draining majority would get traffic again.
        "healthy_panic_threshold": {"value": 0},
        "update_merge_window": "0s",
        "override_host_status": {"statuses": ["UNKNOWN", "HEALTHY", "DEGRADED", "DRAINING"]},
    },
    # Requests queue in the servers, where they are seen as in-flight, not in Envoy. The default of 3 concurrent retries
    # would lose requests when a server dies.
    "circuit_breakers": {
        "thresholds": [
            {
                "max_connections": _NO_LIMIT,
                "max_pending_requests": _NO_LIMIT,
                "max_requests": _NO_LIMIT,
                "max_retries": _NO_LIMIT,
            }
        ]
    },
    "track_cluster_stats": {"per_endpoint_stats": True},
}


def _protocol_options(spoken: Mapping[str, Any]) -> Mapping[str, Any]:
    package = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {
        "@type": f"type.googleapis.com/{package}",
        "explicit_http_config": spoken,
        # Shorter than any server's keep-alive: a connection that the server closes just as a request is sent on it
        # fails that request, and it can't be repeated safely.
        "common_http_protocol_options": {"idle_timeout": "1.5s"},
    }
    return {"typed_extension_protocol_options": {package: options}}


def _cluster_bytes(spoken: Mapping[str, Any]) -> bytes:
    made = json_format.ParseDict({**_CLUSTER, **_protocol_options(spoken)}, cluster_pb2.Cluster())
    found: bytes = made.SerializeToString(deterministic=True)
    return found


# No pings: gRPC servers end connections that have more than one in five minutes. TCP has its own, above.
# allow_connect: WebSockets, to servers that take them over HTTP/2.
_HTTP2 = _cluster_bytes({"http2_protocol_options": {**HTTP2_WINDOWS, "allow_connect": True}})
_HTTP1 = _cluster_bytes({"http_protocol_options": {}})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
    """An app's resources. Two are the same when they are the same object: `Builder` keeps one per configuration."""

    app: AppRoutes
    clusters: Mapping[str, bytes]
    assignments: Mapping[str, bytes]
    hosts: Mapping[str, bytes]
    unserved: frozenset[str]
    """Clusters in which no server takes new requests."""
    endpoints: frozenset[str]
    """ "ip:port" of every server, draining ones too."""
    addresses: frozenset[str]
    claims: frozenset[tuple[str, str]]
    """Of each host the path prefixes that the app has there, and its affinity cookie: nobody else's there."""
    _shared: dict[str, Sequence[tuple[str, bytes]]] = field(default_factory=dict)

    def shared(self, host: str) -> Sequence[tuple[str, bytes]]:
        """By prefix the routes on a host that it shares: parts of Envoy's VirtualHost."""
        if host not in self._shared:
            self._shared[host] = [(prefix, _routes_bytes(r)) for prefix, r in shared(self.app, host)]
        return self._shared[host]


def build(app: AppRoutes) -> Built:
    editions = {name: e for e in app.editions for name in _clusters(app.key, e)}
    return Built(
        app=app,
        clusters={name: _cluster(name, app.protocol) for name in editions},
        assignments={name: _assignment(name, edition) for name, edition in editions.items()},
        hosts={host: _host(found) for host, found in virtual_hosts(app).items()},
        unserved=frozenset(n for n, e in editions.items() if all(p.draining for p in e.endpoints)),
        endpoints=frozenset(p.authority for e in app.editions for p in e.endpoints),
        addresses=frozenset(p.address for e in app.editions for p in e.endpoints),
        claims=frozenset(_claims(app)),
    )


def _claims(app: AppRoutes) -> Iterable[tuple[str, str]]:
    for host, found in prefixes(app).items():
        yield from ((host, prefix) for prefix in found)
        if app.affinity_cookie:
            yield host, f"cookie {app.affinity_cookie}"


def _clusters(key: str, edition: EditionRoute) -> Sequence[str]:
    name = cluster_name(key, edition.name)
    return (name, streams_name(name))


def stat_name(cluster: str) -> str:
    """Envoy takes a cluster's name in a statistic to end at the first dot, and app names may have dots."""
    return cluster.replace(".", "%2E")


def cluster_of(stat: str) -> str:
    return stat.replace("%2E", ".")


def _cluster(name: str, protocol: Protocol) -> bytes:
    alias = stat_name(name)
    own = cluster_pb2.Cluster(name=name, alt_stat_name=alias if alias != name else "")
    spoken = _HTTP2 if protocol.http2 else _HTTP1
    return _resource(CDS, spoken + own.SerializeToString(deterministic=True))


def _assignment(name: str, edition: EditionRoute) -> bytes:
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    locality = assignment.endpoints.add()
    for endpoint in dict.fromkeys(edition.endpoints):
        status = health_check_pb2.DRAINING if endpoint.draining else health_check_pb2.HEALTHY
        added = locality.lb_endpoints.add(health_status=status)
        added.endpoint.address.socket_address.address = endpoint.address
        added.endpoint.address.socket_address.port_value = endpoint.port
    return _resource(EDS, assignment.SerializeToString(deterministic=True))


def _routes_bytes(routes: Iterable[dict[str, Any]]) -> bytes:
    made = route_components_pb2.VirtualHost(routes=map(_route, routes))
    found: bytes = made.SerializeToString(deterministic=True)
    return found


def _merged(host: str, apps: Iterable[Built]) -> bytes:
    """A host that several apps have paths on: the longest prefix of all first; the first app has what two claim."""
    parts: dict[str, bytes] = {}
    for built in apps:
        for prefix, part in built.shared(host):
            parts.setdefault(prefix, part)
    head = shared_host(host, whole="" in parts)
    made = json_format.ParseDict({**head, "routes": []}, route_components_pb2.VirtualHost())
    made.MergeFromString(b"".join(parts[p] for p in sorted(parts, key=lambda p: (-len(p), p))))
    made.routes.extend(map(_route, head["routes"]))
    found: bytes = route_pb2.RouteConfiguration(virtual_hosts=[made]).SerializeToString(deterministic=True)
    return found


def _host(virtual_host: dict[str, Any]) -> bytes:
    parsed = json_format.ParseDict({**virtual_host, "routes": []}, route_components_pb2.VirtualHost())
    parsed.routes.extend(map(_route, virtual_host["routes"]))
    found: bytes = route_pb2.RouteConfiguration(virtual_hosts=[parsed]).SerializeToString(deterministic=True)
    return found


def _route(route: dict[str, Any]) -> Any:
    cookies: bytes = route["match"].get(COOKIES, b"")
    match = {key: value for key, value in route["match"].items() if key != COOKIES}
    parsed = json_format.ParseDict({**route, "match": match}, route_components_pb2.Route())
    parsed.match.MergeFromString(cookies)
    return parsed


def _resource(type_url: str, value: bytes) -> bytes:
    packed = any_pb2.Any(type_url=type_url, value=value)
    found: bytes = discovery_pb2.DiscoveryResponse(resources=[packed]).SerializeToString(deterministic=True)
    return found


_NOBODY = {
    "name": "nobody",
    "domains": ["*"],
    "routes": [
        {
            "match": {"prefix": "/"},
            "direct_response": {"status": 404, "body": {"inline_string": "no app claims this host\n"}},
        }
    ],
}
_NOBODY_BYTES: bytes = route_pb2.RouteConfiguration(
    virtual_hosts=[json_format.ParseDict(_NOBODY, route_components_pb2.VirtualHost())]
).SerializeToString(deterministic=True)
_HEAD: bytes = route_pb2.RouteConfiguration(name=ROUTES, ignore_port_in_host_matching=True).SerializeToString(
    deterministic=True
)


class Resources:
    """All that one router shall have: the apps' resources put together.

    A host and path that two apps claim goes to the first; Envoy would refuse two hosts of one name as a whole.
    """

    def __init__(self, apps: Mapping[str, Built]) -> None:
        self.apps = apps
        self.clusters: dict[str, bytes] = {}
        self.assignments: dict[str, bytes] = {}
        self.editions: set[str] = set()
        self.unserved: set[str] = set()
        self.endpoints: set[str] = set()
        users: dict[str, list[Built]] = {}
        for built in apps.values():
            self.clusters |= built.clusters
            self.assignments |= built.assignments
            self.editions.update(map(edition_of, built.clusters))
            self.unserved |= built.unserved
            self.endpoints |= built.endpoints
            for host in built.hosts:
                users.setdefault(host, []).append(built)
        hosts = {h: some[0].hosts[h] if len(some) == 1 else _merged(h, some) for h, some in users.items()}
        if "*" not in hosts:
            hosts["*"] = _NOBODY_BYTES
        self.hosts = hosts

    def routes(self) -> bytes:
        return _resource(RDS, _HEAD + b"".join(self.hosts.values()))


def placeholder(name: str, want: Resources) -> bytes:
    """The cluster of an edition that a router still has and nobody publishes any more."""
    app = want.apps.get(app_of(edition_of(name)))
    return _cluster(name, app.app.protocol if app else Protocol.HTTP)


def response(version: str, type_url: str, parts: Iterable[bytes]) -> bytes:
    """A discovery response; its nonce is its version."""
    head: bytes = discovery_pb2.DiscoveryResponse(
        version_info=version, type_url=type_url, nonce=version
    ).SerializeToString()
    return head + b"".join(parts)
