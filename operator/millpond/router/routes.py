"""One host of one app as Envoy's virtual host (as a dict in protobuf JSON).

New requests are shared among the editions by weight; an edition without a server that takes new requests gets none.
A session stays on its edition by an edition cookie and a pin route, and on its server by the app's affinity cookie.
The edition cookie exists when the app has an affinity cookie (a later edition must not take its sessions) or when
several editions share the new requests. Once an edition only drains, only sessions of its servers are pinned to it:
whoever else has its edition cookie moves on, instead of finding no server there.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from millpond.router.config import AppRoutes, EditionRoute, Endpoint, cluster_name

EDITION_COOKIE = "millpond-edition"
STATEFUL_SESSION = "envoy.filters.http.stateful_session"
Json: TypeAlias = dict[str, Any]

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


def virtual_host(app: AppRoutes, host: str) -> Json:
    prefixes = {match.path_prefix.rstrip("/") for match in app.matches if match.host.lower() == host}
    ordered = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
    found: Json = {
        "name": f"{app.key} {host}",
        "domains": [host],
        "retry_policy": _RETRY,
        "routes": [route for prefix in ordered for route in _routes(app, prefix)],
    }
    if app.affinity_cookie:
        found["typed_per_filter_config"] = {STATEFUL_SESSION: _session(app.affinity_cookie)}
    if "" not in prefixes:
        found["routes"].append(_answer({"prefix": "/"}, 404, "no app claims this path\n"))
    return found


def _routes(app: AppRoutes, prefix: str) -> Iterable[Json]:
    match = {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}
    if not app.editions:
        return [_answer(match, 503, "this app has no servers\n")]
    shares = _shares(app.editions)
    sticky = bool(app.affinity_cookie) or len(shares) > 1
    pinned = app.editions if sticky or len(app.editions) > 1 else ()
    pins = [_pin(app, edition, match) for edition in pinned]
    return [*(pin for pin in pins if pin), {"match": match, "route": _split(app.key, shares, sticky)}]


def _shares(editions: Sequence[EditionRoute]) -> Sequence[tuple[str, int]]:
    """Edition names with their weights: those that can serve, else (nothing to choose) the first."""
    serving = [e for e in editions if not all(p.draining for p in e.endpoints)]
    weighted = [(e.name, e.weight) for e in serving if e.weight]
    return weighted or [(e.name, 1) for e in serving] or [(editions[0].name, 1)]


def _split(key: str, shares: Sequence[tuple[str, int]], sticky: bool) -> Json:
    if not sticky:
        return {"cluster": cluster_name(key, shares[0][0]), "timeout": "0s"}
    return {"weighted_clusters": {"clusters": [_share(key, *share) for share in shares]}, "timeout": "0s"}


def _share(key: str, edition: str, weight: int) -> Json:
    cookie = {"key": "set-cookie", "value": f"{EDITION_COOKIE}={edition}; Path=/; HttpOnly"}
    return {
        "name": cluster_name(key, edition),
        "weight": weight,
        "response_headers_to_add": [{"header": cookie, "append_action": "APPEND_IF_EXISTS_OR_ADD"}],
    }


def _pin(app: AppRoutes, edition: EditionRoute, match: Json) -> Json | None:
    cookies = [_cookie(EDITION_COOKIE, [edition.name])]
    if all(endpoint.draining for endpoint in edition.endpoints):
        if not app.affinity_cookie or not edition.endpoints:
            return None
        cookies.append(_cookie(app.affinity_cookie, list(map(_bound, edition.endpoints))))
    action = {"cluster": cluster_name(app.key, edition.name), "timeout": "0s"}
    return {"match": {**match, "headers": cookies}, "route": action}


def _bound(endpoint: Endpoint) -> str:
    """The value of Envoy's cookie for a session of this server: a protobuf message with one text, in base64."""
    address = endpoint.authority.encode()
    return base64.b64encode(bytes((0x0A, len(address))) + address).decode()


def _cookie(name: str, values: Sequence[str]) -> Json:
    one_of = "|".join(map(re.escape, values))
    regex = rf'(?:.*;\s*)?{re.escape(name)}="?(?:{one_of})"?(?:\s*;.*)?'
    return {"name": "cookie", "string_match": {"safe_regex": {"regex": regex}}}


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
