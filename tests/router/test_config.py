"""What is refused before Envoy sees it, in words that name field, value and what would be right."""

import pytest

from millpond.api.protocol import Protocol
from millpond.router.config import (
    AppRoutes,
    EditionRoute,
    Endpoint,
    Match,
    Preview,
    app_of,
    cluster_name,
    fault,
)
from millpond.router.xds.target import Board

from kube import builders as apps
from router.world import app

GOOD = AppRoutes(
    key="shop/cart",
    matches=(Match(host="Shop.example.com"), Match(host="*.example.com", path_prefix="/a/b-c_d.e~f%20/(x)")),
    editions=(EditionRoute(name="v1.2", endpoints=(Endpoint(address="::1", port=1),), weight=0),),
    affinity_cookie="JSESSIONID",
)


def _with(**changes: object) -> AppRoutes:
    fields = {name: getattr(GOOD, name) for name in ("key", "matches", "editions", "affinity_cookie")}
    return AppRoutes(**(fields | changes))  # type: ignore[arg-type]


def _edition(name: str = "v1", address: str = "127.0.0.1", port: int = 80, weight: int = 1) -> EditionRoute:
    return EditionRoute(name=name, endpoints=(Endpoint(address=address, port=port),), weight=weight)


def _previews(*previews: Preview) -> AppRoutes:
    return _with(
        editions=tuple(
            EditionRoute(name=f"v{number}", endpoints=(), preview=preview)
            for number, preview in enumerate(previews, start=1)
        )
    )


HEADER = ("x-canary", "yes")
BOTH = _previews(
    Preview(header=HEADER, hosts=("new.example.org", "*.new.example.org")),
    Preview(header=("x-canary", 'other; "value"')),
)


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        pytest.param(GOOD, None, id="good routes"),
        pytest.param(_with(key="cart"), "key 'cart': must be \"namespace/name\"", id="no namespace"),
        pytest.param(
            _with(matches=(Match(host="a b"),)),
            "host 'a b': must be a DNS name, or *.name",
            id="space in a host",
        ),
        pytest.param(
            _with(matches=(Match(host="a.test:80"),)),
            "host 'a.test:80': must be a DNS name, or *.name",
            id="port",
        ),
        pytest.param(
            _with(matches=(Match(host="a.test", path_prefix="a"),)),
            "path prefix 'a': must start with / and have no space, ? or #",
            id="relative path",
        ),
        pytest.param(
            _with(matches=(Match(host="a.test", timeout_s=0.0),)),
            "timeout 0 s of a.test: must be 0.001 to 86400",
            id="no time",
        ),
        pytest.param(
            _with(matches=(Match(host="a.test", idle_timeout_s=86_401),)),
            "idle timeout 86401 s of a.test: must be 0.001 to 86400",
            id="silence for more than a day",
        ),
        pytest.param(
            _with(matches=(Match(host="a.test", path_prefix="/a?b"),)),
            "path prefix '/a?b': must start with / and have no space, ? or #",
            id="query in a path",
        ),
        pytest.param(
            _with(editions=(_edition(address="db"),)),
            "address 'db': must be an IP address",
            id="name for an address",
        ),
        pytest.param(_with(editions=(_edition(port=0),)), "port 0: must be 1 to 65535", id="port 0"),
        pytest.param(
            _with(editions=(_edition(weight=-1),)),
            "weight -1 of edition v1: must be 0 to 1000000",
            id="weight < 0",
        ),
        pytest.param(
            _with(editions=(_edition(), _edition())), "edition 'v1': named twice", id="edition twice"
        ),
        pytest.param(
            _with(affinity_cookie="a;b"),
            "affinity cookie 'a;b': must be a cookie name (letters, digits, - _ .)",
            id="semicolon in a cookie's name",
        ),
        pytest.param(BOTH, None, id="good previews"),
        pytest.param(
            _previews(Preview(header=(":path", "/"))),
            "header name ':path' in the preview of edition v1: must be letters, digits, - _ .",
            id="pseudo header",
        ),
        pytest.param(
            _previews(Preview(header=("x-canary", ""))),
            "header value '' in the preview of edition v1: must be printable ASCII without spaces at its ends",
            id="no header value",
        ),
        pytest.param(
            _previews(Preview(header=("x-canary", "a\nb"))),
            "header value 'a\\nb' in the preview of edition v1: must be printable ASCII without spaces at its ends",
            id="line break in a header value",
        ),
        pytest.param(
            _previews(Preview(header=HEADER), Preview(header=("X-Canary", "yes"))),
            "header X-Canary: yes in the preview of edition v2: v1 has it already",
            id="two previews with one header",
        ),
        pytest.param(
            _previews(Preview(header=None, hosts=("*",))),
            "host '*' in the preview of edition v1: must be a DNS name, or *.name",
            id="every host",
        ),
        pytest.param(
            _previews(Preview(header=None, hosts=("SHOP.example.com",))),
            "host 'shop.example.com' in the preview of edition v1: is a host of the app's own routes; "
            "it needs one of its own",
            id="the app's own host",
        ),
        pytest.param(
            _previews(Preview(header=None, hosts=("a.test",)), Preview(header=None, hosts=("a.test",))),
            "host 'a.test' in the preview of edition v2: is edition v1's; it needs one of its own",
            id="two previews with one host",
        ),
    ],
)
def test_faults_name_field_and_value(routes: AppRoutes, found: str | None) -> None:
    assert fault(routes) == found


def test_a_cluster_is_named_by_app_and_edition() -> None:
    assert cluster_name("shop/cart", "v1") == "shop/cart/v1"
    assert app_of("shop/cart/v1") == "shop/cart"


def test_publishing_the_same_again_changes_nothing() -> None:
    board = Board()
    endpoint = Endpoint(address="127.0.0.1", port=80)
    first = board.publish(app(endpoint) | {"bad": GOOD})
    assert first.rejected.keys() == {"bad"}
    assert board.publish(app(endpoint) | {"bad": GOOD}) is first
    assert board.publish(app(endpoint)) is not first


def test_protocol_and_limits_are_those_of_the_app() -> None:
    limited = {"host": "cart.test", "pathPrefix": "/quick", "timeout": "1m30s", "idleTimeout": "500ms"}
    candidate = apps.app(protocol="GRPC", routes=[{"host": "cart.test"}, limited])
    routes = apps.app_routes(candidate, apps.holdings(apps.POD))
    assert routes is not None
    assert routes.protocol is Protocol.GRPC
    assert routes.matches == (
        Match(host="cart.test"),
        Match(host="cart.test", path_prefix="/quick", timeout_s=90.0, idle_timeout_s=0.5),
    )
