"""Routes of any size are accepted by the real Envoy: 1 to 1,000 servers of one app, and 1,000 apps of 5."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match, Preview

from router.world import HOST, Answer, World, app, editions

pytestmark = pytest.mark.integration
SIZES = (1, 2, 10, 100, 1000)
KEY = "shop/cart"


@dataclass(frozen=True)
class Names:
    """What admission allows: cookies of up to 64 characters, editions of up to 30."""

    cookie: str
    old: str
    new: str
    address: Callable[[int], str]


SHORT = Names("cart-session", "v1", "v2", lambda n: f"127.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}")
LONGEST = Names(
    "c" * 64,
    "o" * 40,
    "n" * 40,
    lambda n: f"fd00:1234:5678:9abc:def0:1234:{n // 65000 + 4096:x}:{n % 65000:04x}",
)
NAMES = pytest.mark.parametrize("names", [
    pytest.param(SHORT, id="IPv4"), pytest.param(LONGEST, id="the longest names and IPv6"),
])  # fmt: skip


def servers(names: Names, number: int, *, first: int = 0, draining: int = 0) -> tuple[Endpoint, ...]:
    """So many servers, of which the first ones drain."""
    return tuple(
        Endpoint(address=names.address(first + n), port=65_535, draining=n < draining) for n in range(number)
    )


def one_edition(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    return [EditionRoute(name=names.old, endpoints=servers(names, number, draining=draining))]


def rolling(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    return [
        EditionRoute(name=names.old, endpoints=servers(names, number, draining=draining), weight=0),
        EditionRoute(name=names.new, endpoints=servers(names, number, first=number)),
    ]


def draining_whole_editions(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    """Two old ones, the second of which is yet to begin."""
    return [
        EditionRoute(name=names.old, endpoints=servers(names, number, draining=number), weight=0),
        EditionRoute(name="older", weight=0, endpoints=servers(names, number, first=number, draining=draining)),
        EditionRoute(name=names.new, endpoints=servers(names, number, first=2 * number)),
    ]  # fmt: skip


def previewed(
    names: Names, number: int, draining: int, preview: Preview, weight: int
) -> Sequence[EditionRoute]:
    return [
        EditionRoute(
            name=names.old, endpoints=servers(names, number, draining=draining), weight=100 - weight
        ),
        EditionRoute(
            name=names.new, endpoints=servers(names, number, first=number), weight=weight, preview=preview
        ),
    ]


def blue_green_by_header(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    return previewed(names, number, draining, Preview(header=("x-preview", names.new)), 0)


def blue_green_by_host(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    return previewed(names, number, draining, Preview(header=None, hosts=("preview.test",)), 0)


def blue_green_taken_back(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    """The previewed edition drains as well."""
    old, new = blue_green_by_header(names, number, draining)
    return [old, replace(new, endpoints=servers(names, number, first=number, draining=number))]


def canary(names: Names, number: int, draining: int) -> Sequence[EditionRoute]:
    return previewed(names, number, draining, Preview(header=("x-canary", "yes")), 10)


Strategy = Callable[[Names, int, int], Sequence[EditionRoute]]
STRATEGIES: Sequence[Strategy] = (
    one_edition, rolling, draining_whole_editions, blue_green_by_header, blue_green_by_host,
    blue_green_taken_back, canary,
)  # fmt: skip


def routes(names: Names, found: Sequence[EditionRoute]) -> dict[str, AppRoutes]:
    made = editions(*found, cookie=names.cookie)[KEY]
    return {
        KEY: replace(made, matches=(Match(host=HOST), Match(host=HOST, path_prefix="/cart", timeout_s=5)))
    }


@NAMES
@pytest.mark.parametrize("number", SIZES, ids=lambda n: f"{n} servers")
async def test_every_strategys_routes_are_accepted_and_so_is_one_servers_drain(
    world: World, number: int, names: Names
) -> None:
    world.router()
    refused: dict[str, str] = {}
    for strategy in STRATEGIES:
        for draining in (0, 1):
            published = await world.settled(routes(names, strategy(names, number, draining)))
            for message in published.rejected.values():
                refused[f"{strategy.__name__}, {draining} draining"] = message[:200]
    assert not refused


async def test_a_thousand_apps_of_five_servers_are_accepted_and_one_of_them_changes_alone(
    world: World,
) -> None:
    world.router()
    apps = {f"shop/app-{n}": _one_of_many(n, draining=0) for n in range(1000)}
    published = await world.settled(apps)
    assert (len(published.confirmed), published.rejected) == (1000, {})
    start_s = time.monotonic()
    published = await world.settled({**apps, "shop/app-500": _one_of_many(500, draining=5)})
    assert (len(published.confirmed), published.rejected) == (1000, {})
    assert time.monotonic() - start_s < 10  # with the other tests beside it


def _one_of_many(n: int, *, draining: int) -> AppRoutes:
    (found,) = app(key=f"shop/app-{n}", hosts=(f"app-{n}.test",), cookie=SHORT.cookie).values()
    old = EditionRoute(name="v1", endpoints=servers(SHORT, 5, first=10 * n, draining=draining), weight=0)
    new = EditionRoute(name="v2", endpoints=servers(SHORT, 5, first=10 * n + 5))
    return replace(found, editions=(old, new))


# -- who is bound to a server of a large edition


@NAMES
async def test_only_sessions_of_its_servers_stay_with_a_large_edition_that_drains(
    world: World, names: Names
) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    crowd = servers(names, 100, draining=100)
    await world.settled(_both(names, EditionRoute(name=names.old, endpoints=(old.endpoint,))))
    await world.serving(router)
    session = (await world.get(router)).cookies
    assert session.keys() == {names.cookie, "millpond-edition"}

    drained = EditionRoute(name=names.old, endpoints=(*crowd, old.draining), weight=0)
    after = EditionRoute(name=names.new, endpoints=(new.endpoint,))
    await world.settled(_both(names, drained, after))
    cookie, edition = session[names.cookie], session["millpond-edition"]
    bound = (
        f"{names.cookie}={cookie}; millpond-edition={edition}",
        f"a=b; millpond-edition={edition}; c=d; {names.cookie}={cookie}; e=f",
        f'millpond-edition="{edition}";{names.cookie}="{cookie}"',
    )
    free = (
        "",
        f"millpond-edition={edition}",
        f"{names.cookie}={cookie}; millpond-edition={edition}0",
        f"x{names.cookie}={cookie}; millpond-edition={edition}",
        f"{names.cookie}=MTI3LjAuMC4xOjE=; millpond-edition={edition}",
        f"{names.cookie}=x{cookie}; millpond-edition={edition}",
        f"{names.cookie}={cookie}x; millpond-edition={edition}",
        f"x=millpond-edition={edition}",
    )
    assert await _answers(world, router, bound) == dict.fromkeys(bound, (200, "old"))
    assert await _answers(world, router, free) == dict.fromkeys(free, (200, "new"))


async def test_who_has_lost_his_server_gets_the_share_of_the_others_and_their_cookie(world: World) -> None:
    one, two = await world.server("one"), await world.server("two")
    router = world.router()
    await world.settled(_both(
        SHORT,
        EditionRoute(name="v1", endpoints=servers(SHORT, 20, draining=20), weight=0),
        EditionRoute(name="v2", endpoints=(one.endpoint,), weight=50),
        EditionRoute(name="v3", endpoints=(two.endpoint,), weight=50),
    ))  # fmt: skip
    await world.serving(router)
    lost = {"millpond-edition": "v1", SHORT.cookie: "MTI3LjAuMC4xOjE="}
    answers: list[Answer] = await world.many(40, lambda: world.get(router, cookies=lost))
    assert {answer.text for answer in answers} == {"one", "two"}
    assert {answer.text: answer.cookies["millpond-edition"] for answer in answers} == {
        "one": "v2",
        "two": "v3",
    }


def _both(names: Names, *found: EditionRoute) -> Mapping[str, AppRoutes]:
    return editions(*found, cookie=names.cookie)


async def _answers(world: World, router: object, cookies: Sequence[str]) -> dict[str, tuple[int, str]]:
    found = {}
    for line in cookies:
        answer = await world.get(router, headers={"cookie": line} if line else {})  # type: ignore[arg-type]
        found[line] = (answer.status, answer.text)
    return found
