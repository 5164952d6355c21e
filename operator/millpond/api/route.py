"""Routes: which requests the routers send to an app."""

from typing import Annotated

from pydantic import Field

from millpond.api.fields import DNS_NAME, matching
from millpond.api.model import Model
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


class Route(Model):
    """A host and the paths on it that belong to the app."""

    host: Host
    """The host that requests name, such as shop.example.com, in lower case. The older of two apps that claim
    a route keeps it."""
    path_prefix: PathPrefix = "/"
    """The paths on that host: this one and those below it."""


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
