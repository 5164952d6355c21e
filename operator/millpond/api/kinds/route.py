"""Routes: which requests the routers send to an app."""

import re
from typing import Annotated

from pydantic import Field

from millpond.api.checks.fields import cel_string, lasting, matching
from millpond.api.checks.model import Model
from millpond.api.checks.rules import Keeps, Rule
from millpond.api.durations import MAX_LENGTH, seconds
from millpond.api.hosts import HOST, MAX_HOST, NAME, spelling
from millpond.api.protocol import Protocol

_ASCII = re.compile(r"[ -~]*")


def _spelt(pattern: str, example: str) -> Keeps:
    """A host has one spelling: others are refused, with the right one where it can be told.

    The API server cannot compute punycode; the operator, for objects older than this rule, can.
    """
    loose = pattern.replace(r"\*|", "").replace("a-z", "A-Za-z").replace("$", r"\.?(:[0-9]{1,5})?$")
    right, near = re.compile(pattern), re.compile(loose)
    return Keeps(
        Rule(
            cel="self.matches('^[ -~]*$')",
            holds=lambda text: _ASCII.fullmatch(text) is not None,
            says='"{self}" is not in ASCII: write it as routers compare it, in punycode, such as {punycode}',
            where={"punycode": (f"'{_PUNYCODE}'", lambda text: spelling(text) or _PUNYCODE)},
        ),
        Rule(
            cel=f"self.matches({cel_string(pattern)}) || !self.matches('^[ -~]*$')",
            holds=lambda text: right.fullmatch(text) is not None or _ASCII.fullmatch(text) is None,
            says='"{self}" is not a host name: write it in lower case, without scheme, port, path and dot at the '
            "end, such as {right}",
            where={
                "right": (
                    f"self.matches({cel_string(loose)}) "
                    f"? self.lowerAscii().find('^[-a-z0-9.*]*[a-z0-9]') : '{example}'",
                    lambda text: (spelling(text) if near.fullmatch(text) else None) or example,
                )
            },
        ),
    )


_PUNYCODE = "xn--bcher-kva.example for bücher.example"
Host = Annotated[str, Field(max_length=MAX_HOST), _spelt(HOST, "shop.example.com or *.shop.example.com")]
PreviewHost = Annotated[str, Field(max_length=MAX_HOST), _spelt(NAME, "preview.shop.example.com")]

PathPrefix = Annotated[
    str,
    Field(max_length=256),
    Keeps(
        matching(
            r"^/([A-Za-z0-9._~!$&()*+,;=:@%-]+(/[A-Za-z0-9._~!$&()*+,;=:@%-]+)*)?$",
            '"{self}" is not a path prefix: write / or segments without a slash at the end, such as /shop',
        )
    ),
]

_SHORTEST_S = 0.001  # routers count milliseconds

AppProtocol = Annotated[
    Protocol,
    Keeps(
        # The servers of the editions that exist speak the one that they were made for.
        Rule(
            cel="self == oldSelf",
            holds=lambda _: True,
            says="{self} differs from {old}, which the running servers speak: keep {old}, or make another "
            "ElasticApp with protocol {self}",
            where={"old": ("oldSelf", str)},
        )
    ),
]


class Route(Model):
    """A host and the paths on it that belong to the app."""

    host: Host
    """The host that requests name, such as shop.example.com, in lower case. *.example.com: all names below
    example.com that no app claims more exactly; *: every other host; both need a grant of an admin. A host and
    path prefix belongs to the app that was granted it, until that app gives it up."""
    path_prefix: PathPrefix = "/"
    """The paths on that host: this one and those below it, but for longer prefixes that other apps hold."""
    timeout: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="24h")] | None = None
    """How long an answer may take, from the end of the request to its own end: more than 0, at most 24h; then it is
    504. Absent: as long as it takes. Not for WebSockets, server-sent events and, unless `protocol` is GRPC, gRPC."""
    idle_timeout: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="24h")] | None = None
    """How long neither side may send anything before a request or stream is ended: more than 0, at most 24h.
    Absent: five minutes, an hour for WebSockets, server-sent events and, unless `protocol` is GRPC, gRPC."""

    @property
    def timeout_s(self) -> float | None:
        """None: no limit."""
        return None if self.timeout is None else max(_SHORTEST_S, seconds(self.timeout))

    @property
    def idle_timeout_s(self) -> float | None:
        """None: the routers' own."""
        return None if self.idle_timeout is None else max(_SHORTEST_S, seconds(self.idle_timeout))


def _repeated(routes: tuple[Route, ...]) -> list[str]:
    places = [f"{route.host}{route.path_prefix}" for route in routes]
    return sorted({place for place in places if places.count(place) > 1})


# The API server refuses repeated routes by itself, because host and path are the keys of the list.
_DISTINCT = Rule(
    cel="",
    holds=lambda routes: not _repeated(routes),
    says="{repeated} is there more than once: each host and path prefix may stand once",
    where={"repeated": ("", lambda routes: ", ".join(_repeated(routes)))},
)

Routes = Annotated[
    tuple[Route, ...],
    Field(
        min_length=1,
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["host", "pathPrefix"],
        },
    ),
    Keeps(_DISTINCT),
]
