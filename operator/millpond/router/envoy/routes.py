"""One host of one app as Envoy's virtual host (as a dict in protobuf JSON).

What an edition's preview names goes to it, first of all, and leaves no edition cookie. New requests are shared among
the editions by weight; one without a server that takes new requests gets none, unless no other has a weight.

A session stays on its edition by an edition cookie and a pin route, and on its server by the app's affinity cookie.
The edition cookie exists when the app has an affinity cookie (a later edition must not take its sessions) or when
several editions share the new requests. Once an edition only drains, only sessions of its servers are pinned to it:
whoever else has its edition cookie moves on, instead of finding no server there. It is the same with weight 0: a cookie
that somebody set by hand, or from an earlier life of that edition, must not let ordinary users in.

On a host that several apps share, each has its own paths, the longest prefix of all first; the app's affinity cookie is
then said of each of its routes.

Long-lived streams (WebSocket, server-sent events, gRPC) take the same way to a second cluster of the same servers, in
which they are counted apart, and may be silent for an hour. With protocol GRPC, calls of gRPC are requests instead.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from millpond.api.protocol import Protocol
from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match, Pins, cluster_name, streams_name
from millpond.router.envoy.cookies import cookie_is, cookie_is_none_of
from millpond.router.envoy.limits import REPEATABLE_BYTES

STATEFUL_SESSION = "envoy.filters.http.stateful_session"
COOKIES = "cookies"
"""Key of what a route's match says about cookies: bytes, see `cookies`. All else is JSON."""
Json: TypeAlias = dict[str, Any]

_STREAM_HEADERS: Sequence[Json] = (
    {"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}},
    # As browsers ask for events. Not where events are one of several types: such requests are mostly answered at once.
    {"name": "accept", "string_match": {"prefix": "text/event-stream", "ignore_case": True}},
    {"name": "content-type", "string_match": {"prefix": "application/grpc", "ignore_case": True}},
)
_STREAM_IDLE_S = 3600.0
_RETRY: Json = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 3,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    # A dead server has the fewest requests, so it is chosen again and again; choosing costs next to nothing.
    "host_selection_retry_max_attempts": 100,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requests:
    """The requests that a route takes, and how long they may take."""

    match: Json
    limits: Match
    protocol: Protocol

    def only(self, *headers: Json) -> "_Requests":
        """Those of them that have these headers."""
        return replace(self, match={**self.match, "headers": [*self.match.get("headers", ()), *headers]})

    def whose(self, cookies: bytes) -> "_Requests":
        """Those of them with these cookies."""
        return replace(self, match={**self.match, COOKIES: self.match.get(COOKIES, b"") + cookies})

    def to(self, action: Callable[[Callable[[str], str]], Json]) -> Iterable[Json]:
        """Routes for streams, and one for all other requests; `action` gets what turns a cluster's name into theirs."""
        idle_s = self.limits.idle_timeout_s
        stream = {
            **action(streams_name),
            "timeout": "0s",
            "idle_timeout": _duration(idle_s or _STREAM_IDLE_S),
        }
        for header in _STREAM_HEADERS[: 2 if self.protocol is Protocol.GRPC else 3]:
            yield {"match": self.only(header).match, "route": stream}
        request = {**action(str), "timeout": _duration(self.limits.timeout_s or 0.0)}
        if idle_s is not None:
            request["idle_timeout"] = _duration(idle_s)
        yield {"match": self.match, "route": request}


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}s"


def virtual_hosts(app: AppRoutes) -> dict[str, Json]:
    """By host: those of the app's routes and those of its previews."""
    found = {match.host.lower(): _public(app, match.host.lower()) for match in app.matches}
    for edition in app.editions:
        for host in edition.preview.hosts if edition.preview else ():
            found[host.lower()] = _host(app, host.lower(), _everything_to(app, edition.name))
    return found


def prefixes(app: AppRoutes) -> dict[str, frozenset[str]]:
    """By host the path prefixes that the app has there ("" is all); a preview has all."""
    found: dict[str, frozenset[str]] = {}
    for match in app.matches:
        host = match.host.lower()
        found[host] = found.get(host, frozenset()) | {match.path_prefix.rstrip("/")}
    previews = [edition.preview for edition in app.editions if edition.preview]
    return found | {host.lower(): frozenset({""}) for preview in previews for host in preview.hosts}


def shared(app: AppRoutes, host: str) -> Iterable[tuple[str, Sequence[Json]]]:
    """Of a host that other apps have paths on, too: each prefix of this app with its routes."""
    for edition in app.editions:
        if edition.preview and host in map(str.lower, edition.preview.hosts):
            (place,) = _places(app, [Match(host=host)])
            yield "", _by_themselves(app, _routes_to(app.key, edition.name, place))
            return
    for place in _places(app, (match for match in app.matches if match.host.lower() == host)):
        yield place.limits.path_prefix.rstrip("/"), _by_themselves(app, _routes(app, place))


def _by_themselves(app: AppRoutes, routes: Iterable[Json]) -> Sequence[Json]:
    """Routes that say themselves what is the app's, whatever their host says."""
    if not app.affinity_cookie:
        return list(routes)
    own = {STATEFUL_SESSION: _session(app.affinity_cookie)}
    return [
        route if "direct_response" in route else {**route, "typed_per_filter_config": own} for route in routes
    ]


def shared_host(host: str, *, whole: bool) -> Json:
    """What is nobody's own on a shared host. ``whole``: some app has all paths that are left."""
    routes = [] if whole else [_answer({"prefix": "/"}, 404, "no app claims this path\n")]
    return {
        "name": f"shared {host}",
        "domains": [host],
        "retry_policy": _RETRY,
        "request_body_buffer_limit": REPEATABLE_BYTES,
        "routes": routes,
    }


def _host(app: AppRoutes, host: str, routes: Iterable[Json]) -> Json:
    found: Json = {
        "name": f"{app.key} {host}",
        "domains": [host],
        "retry_policy": _RETRY,
        "request_body_buffer_limit": REPEATABLE_BYTES,
        "routes": list(routes),
    }
    if app.affinity_cookie:
        found["typed_per_filter_config"] = {STATEFUL_SESSION: _session(app.affinity_cookie)}
    return found


def _public(app: AppRoutes, host: str) -> Json:
    places = _places(app, (match for match in app.matches if match.host.lower() == host))
    routes = [route for place in places for route in _routes(app, place)]
    if not _is_whole(places):
        routes.append(_answer({"prefix": "/"}, 404, "no app claims this path\n"))
    return _host(app, host, routes)


def _everything_to(app: AppRoutes, edition: str) -> Iterable[Json]:
    """On a host of its own an edition has all paths, with the limits that the first of the app's routes gives them."""
    places = _places(app, app.matches)
    whole = () if _is_whole(places) else _places(app, [Match(host="*")])
    return [route for place in (*places, *whole) for route in _routes_to(app.key, edition, place)]


def _places(app: AppRoutes, matches: Iterable[Match]) -> Sequence[_Requests]:
    """The longest prefix first."""
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.path_prefix.rstrip("/"), match)
    ordered = sorted(first, key=lambda prefix: (-len(prefix), prefix))
    return [
        _Requests(match=_below(prefix), limits=first[prefix], protocol=app.protocol) for prefix in ordered
    ]


def _below(prefix: str) -> Json:
    return {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}


def _is_whole(places: Sequence[_Requests]) -> bool:
    return bool(places) and places[-1].match == _below("")


def _routes(app: AppRoutes, place: _Requests) -> Iterable[Json]:
    if not app.editions:
        return [_answer(place.match, 503, "this app has no servers\n")]
    shares = _shares(app.editions)
    sticky = bool(app.affinity_cookie) or len(shares) > 1
    pinned = app.editions if sticky or len(app.editions) > 1 or not shares else ()

    def new(some: _Requests) -> Iterable[Json]:
        return _split(app.key, some, shares, sticky)

    pins = (_pin(app, e, name, place, new) for name in place.limits.edition_cookies for e in pinned)
    return [
        *(route for edition in app.editions for route in _previewed(app, edition, place)),
        *(route for pin in pins for route in pin),
        *new(place),
    ]


def _shares(editions: Sequence[EditionRoute]) -> Sequence[tuple[str, int]]:
    """Edition names with their weights: those that can serve, else (nothing to choose) the first with a weight."""
    weighted = [e for e in editions if e.weight]
    serving = [e for e in weighted if not all(p.draining for p in e.endpoints)]
    return [(e.name, e.weight) for e in serving or weighted[:1]]


def _previewed(app: AppRoutes, edition: EditionRoute, place: _Requests) -> Iterable[Json]:
    if edition.preview is None or edition.preview.header is None:
        return []
    name, value = edition.preview.header
    return _routes_to(app.key, edition.name, place.only({"name": name, "string_match": {"exact": value}}))


def _split(key: str, place: _Requests, shares: Sequence[tuple[str, int]], sticky: bool) -> Iterable[Json]:
    if not shares:
        return [_answer(place.match, 503, "no edition of this app takes new requests\n")]
    if not sticky:
        return _routes_to(key, shares[0][0], place)
    cookie = place.limits.edition_cookies[0]
    return place.to(lambda named: {"weighted_clusters": {"clusters": [
        _share(named(cluster_name(key, e)), f"{cookie}={e}", weight) for e, weight in shares
    ]}})  # fmt: skip


def _routes_to(key: str, edition: str, place: _Requests) -> Iterable[Json]:
    return place.to(lambda named: {"cluster": named(cluster_name(key, edition))})


def _share(cluster: str, pin: str, weight: int) -> Json:
    cookie = {"key": "set-cookie", "value": f"{pin}; Path=/; HttpOnly"}
    return {
        "name": cluster,
        "weight": weight,
        "response_headers_to_add": [{"header": cookie, "append_action": "APPEND_IF_EXISTS_OR_ADD"}],
    }


def _pin(
    app: AppRoutes,
    edition: EditionRoute,
    cookie: str,
    place: _Requests,
    new: Callable[[_Requests], Iterable[Json]],
) -> Iterable[Json]:
    """`new`: the routes of requests that are bound to no edition."""
    its = place.whose(cookie_is(cookie, edition.name))
    if edition.lets_in is Pins.ALL:
        return _routes_to(app.key, edition.name, its)
    if edition.lets_in is Pins.NONE or not app.affinity_cookie or not edition.endpoints:
        return []
    # The others first: a route can ask for all of many cookies at once, but not for one of many.
    others = its.whose(cookie_is_none_of(app.affinity_cookie, map(_bound, edition.endpoints)))
    return [*new(others), *_routes_to(app.key, edition.name, its)]


def _bound(endpoint: Endpoint) -> str:
    """The value of Envoy's cookie for a session of this server: a protobuf message with one text, in base64."""
    address = endpoint.authority.encode()
    return base64.b64encode(bytes((0x0A, len(address))) + address).decode()


def _session(cookie: str) -> Json:
    state = {
        "name": "envoy.http.stateful_session.cookie",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState",
            "cookie": {"name": cookie, "path": "/", "ttl": "0s"},
        },
    }
    package = "type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3"
    return {"@type": f"{package}.StatefulSessionPerRoute", "stateful_session": {"session_state": state}}


def _answer(match: Json, status: int, body: str) -> Json:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": body}}}
