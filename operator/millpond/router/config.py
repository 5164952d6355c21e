"""What the routers shall serve, in the operator's words: apps, their hosts, their editions, the servers of each.

An app that Envoy would refuse is better refused here, where the message can name the field: see `fault`.
"""

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from millpond.api.protocol import Protocol

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*|\*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_KEY = re.compile(rf"{_NAME.pattern}/{_NAME.pattern}")
_PATH = re.compile(r"/[!-\"$->@-~]*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_STREAMS = "~streams"
EDITION_COOKIE = "millpond-edition"
"""By which a client stays on an edition of an app that has its host alone; else it ends with the app's own name."""
_MAX_WEIGHT = 1_000_000
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One server. Draining: only sessions that are bound to it still get there."""

    address: str
    port: int
    draining: bool = False

    @property
    def authority(self) -> str:
        """ "ip:port", with brackets around an IPv6 address, spelled as Envoy does: the one name of a server in routes,
        cookies, telemetry and drains."""
        return f"{_host(self.address)}:{self.port}"


def _host(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return f"[{socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address))}]"
    except OSError:  # what it is instead, `fault` says
        return f"[{address}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Requests that an edition gets whatever its weight, before pins and shares: testers, a canary by header."""

    header: tuple[str, str] | None
    """Name and value of a request header; the value must be exactly this."""
    hosts: tuple[str, ...] = ()
    """Every request for one of these hosts (any port and path)."""


class Pins(StrEnum):
    """Whom an edition's cookie brings back to it. Anybody can set a cookie by hand."""

    ALL = "All"
    """Whoever has it."""
    BOUND = "Bound"
    """Only sessions that the app's affinity cookie binds to one of its servers."""
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionRoute:
    """One edition's servers and its share of new requests, relative to the app's other editions.

    Weight 0: only those that `pins` lets in (unless it says otherwise: bound sessions), and what its preview names.
    Editions without a server that takes new requests get
    no share; what a preview names goes to its edition even then, so that a tester never sees another one.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    weight: int = 100
    preview: Preview | None = None
    pins: Pins | None = None
    """None: ALL with a weight, else BOUND. With draining servers only, ALL means BOUND."""

    @property
    def lets_in(self) -> Pins:
        wanted = self.pins or (Pins.ALL if self.weight else Pins.BOUND)
        only_drains = all(endpoint.draining for endpoint in self.endpoints)
        return Pins.BOUND if wanted is Pins.ALL and only_drains else wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Requests for this host (any port) whose path is the prefix or lies below it."""

    host: str
    path_prefix: str = "/"
    timeout_s: float | None = None
    """From the end of the request to the end of its answer; None: no limit. Not for streams."""
    idle_timeout_s: float | None = None
    """Of silence; None: five minutes, an hour for streams."""
    edition_cookies: tuple[str, ...] = (EDITION_COOKIE,)
    """Names of the edition cookie on this host: the first is set, all are believed, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoutes:
    """Everything that routers need of one app; `key` is "namespace/name"."""

    key: str
    matches: tuple[Match, ...]
    editions: tuple[EditionRoute, ...]
    affinity_cookie: str | None = None
    protocol: Protocol = Protocol.HTTP


def cluster_name(key: str, edition: str) -> str:
    """The name of an edition in Envoy and in telemetry: "namespace/app/edition"."""
    return f"{key}/{edition}"


def streams_name(cluster: str) -> str:
    """The cluster of an edition's long-lived streams: the same servers, counted apart. No edition's name has a ~.

    >>> streams_name("shop/cart/v1")
    'shop/cart/v1~streams'
    """
    return f"{cluster}{_STREAMS}"


def is_streams(cluster: str) -> bool:
    return cluster.endswith(_STREAMS)


def edition_of(cluster: str) -> str:
    """The name that both of an edition's clusters have in telemetry."""
    return cluster.removesuffix(_STREAMS)


def app_of(cluster: str) -> str:
    """The app key in a cluster's name.

    >>> app_of("shop/cart/v1")
    'shop/cart'
    """
    return cluster.rpartition("/")[0]


def fault(app: AppRoutes) -> str | None:
    """What is wrong with this app's routes, naming field and value and what would be right; None when nothing is."""
    if not _KEY.fullmatch(app.key):
        return f'key {app.key!r}: must be "namespace/name"'
    if app.affinity_cookie is not None and not _TOKEN.fullmatch(app.affinity_cookie):
        return f"affinity cookie {app.affinity_cookie!r}: must be a cookie name (letters, digits, - _ .)"
    found = (
        *map(_match_fault, app.matches),
        *map(edition_fault, app.editions),
        _twin_fault(app),
        *_preview_faults(app),
    )
    return next((text for text in found if text), None)


def _match_fault(match: Match) -> str | None:
    if not _HOST.fullmatch(match.host.lower()):
        return f"host {match.host!r}: must be a DNS name, or *.name"
    if not _PATH.fullmatch(match.path_prefix):
        return f"path prefix {match.path_prefix!r}: must start with / and have no space, ? or #"
    limits = {"timeout": match.timeout_s, "idle timeout": match.idle_timeout_s}
    wrong = ((name, s) for name, s in limits.items() if s is not None and not 0.001 <= s <= _LONGEST_S)
    return next(
        (f"{name} {s:g} s of {match.host}: must be 0.001 to {_LONGEST_S:g}" for name, s in wrong), None
    )


def edition_fault(edition: EditionRoute) -> str | None:
    """As `fault`, of one edition but for its preview."""
    if not _NAME.fullmatch(edition.name):
        return f"edition {edition.name!r}: must be a name of letters, digits, - . _"
    if not 0 <= edition.weight <= _MAX_WEIGHT:
        return f"weight {edition.weight} of edition {edition.name}: must be 0 to {_MAX_WEIGHT}"
    return next((text for text in map(endpoint_fault, edition.endpoints) if text), None)


def endpoint_fault(endpoint: Endpoint) -> str | None:
    """As `fault`, of one server."""
    try:
        ipaddress.ip_address(endpoint.address)
    except ValueError:
        return f"address {endpoint.address!r}: must be an IP address"
    return None if 0 < endpoint.port < 65536 else f"port {endpoint.port}: must be 1 to 65535"


def _twin_fault(app: AppRoutes) -> str | None:
    names = [edition.name for edition in app.editions]
    twin = next((name for name in names if names.count(name) > 1), None)
    return None if twin is None else f"edition {twin!r}: named twice"


def _preview_faults(app: AppRoutes) -> Iterator[str]:
    taken = {match.host.lower(): "a host of the app's own routes" for match in app.matches}
    headers: dict[tuple[str, str], str] = {}
    for edition in app.editions:
        preview = edition.preview or Preview(header=None)
        of = f"preview of edition {edition.name}"
        if preview.header is not None:
            yield from _header_faults(preview.header, of)
            name, value = preview.header
            if (name.lower(), value) in headers:
                yield f"header {name}: {value} in the {of}: {headers[name.lower(), value]} has it already"
            headers[name.lower(), value] = edition.name
        for host in map(str.lower, dict.fromkeys(preview.hosts)):
            if host == "*" or not _HOST.fullmatch(host):
                yield f"host {host!r} in the {of}: must be a DNS name, or *.name"
            if host in taken:
                yield f"host {host!r} in the {of}: is {taken[host]}; it needs one of its own"
            taken[host] = f"edition {edition.name}'s"


def _header_faults(header: tuple[str, str], of: str) -> Iterator[str]:
    name, value = header
    if not _TOKEN.fullmatch(name):
        yield f"header name {name!r} in the {of}: must be letters, digits, - _ ."
    if not _HEADER_VALUE.fullmatch(value):
        yield f"header value {value!r} in the {of}: must be printable ASCII without spaces at its ends"
