"""Routes: which requests the routers send to an app."""

from typing import Annotated

from pydantic import Field

from millpond.api.durations import MAX_LENGTH, seconds
from millpond.api.fields import DNS_NAME, lasting, matching
from millpond.api.model import Model
from millpond.api.protocol import Protocol
from millpond.api.rules import Keeps, Rule

Host = Annotated[
    str,
    Field(max_length=253),
    Keeps(
        matching(
            DNS_NAME,
            '"{self}" is not a host name: write it in lower case, without scheme, port and path, such as '
            "shop.example.com",
        )
    ),
]

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
    """The host that requests name, such as shop.example.com, in lower case. The older of two apps that claim
    a route keeps it."""
    path_prefix: PathPrefix = "/"
    """The paths on that host: this one and those below it."""
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
