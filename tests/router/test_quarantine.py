"""One app's bad routes stay out; the others go on, and the app stays at its last good configuration."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match
from millpond.router.xds import router as router_module
from millpond.router.xds import target

from router.world import HOST, Server, World, app, editions

pytestmark = pytest.mark.integration
OTHER = "other.test"
COOKIE = "cart-session"


def _bad_host(good: AppRoutes) -> AppRoutes:
    return replace(good, matches=(Match(host="bad\nhost"),))


def _bad_path(good: AppRoutes) -> AppRoutes:
    return replace(good, matches=(Match(host=HOST, path_prefix="/a?b"),))


def _with_server(good: AppRoutes, endpoint: Endpoint) -> AppRoutes:
    (edition,) = good.editions
    return replace(good, editions=(replace(edition, endpoints=(*edition.endpoints, endpoint)),))


def _bad_address(good: AppRoutes) -> AppRoutes:
    return _with_server(good, Endpoint(address="nowhere", port=80))


def _bad_address_of_a_new_edition(good: AppRoutes) -> AppRoutes:
    new = EditionRoute(name="v2", endpoints=(Endpoint(address="nowhere", port=80),), weight=0)
    return replace(good, editions=(*good.editions, new))


def _bad_port(good: AppRoutes) -> AppRoutes:
    return _with_server(good, Endpoint(address="127.0.0.1", port=70_000))


CASES = [_bad_host, _bad_path, _bad_address, _bad_address_of_a_new_edition, _bad_port]
BAD = pytest.mark.parametrize("spoil", CASES, ids=lambda case: case.__name__.strip("_").replace("_", " "))


@BAD
@pytest.mark.parametrize(
    "checked", [pytest.param(True, id="by our check"), pytest.param(False, id="by Envoy")]
)
async def test_bad_routes_are_rejected_alone_and_retried_when_they_change(
    world: World, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[AppRoutes], AppRoutes], checked: bool
) -> None:
    if not checked:
        monkeypatch.setattr(target, "fault", lambda app: None)
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    good = app(old.endpoint)
    await world.settled(good | _other(old))
    await world.serving(router)

    bad = {"shop/cart": spoil(good["shop/cart"])}
    for _ in range(2):
        published = await world.publish(bad | _other(new))
        assert published.confirmed == {"shop/other"}
        assert published.rejected.keys() == {"shop/cart"}
        assert published.rejected["shop/cart"]
    assert (await world.get(router)).text == "old"
    assert (await world.get(router, host=OTHER)).text == "new"

    published = await world.publish(app(new.endpoint) | _other(new))
    assert published.confirmed == {"shop/cart", "shop/other"}
    assert not published.rejected
    assert (await world.get(router)).text == "new"


@BAD
@pytest.mark.parametrize(
    "checked", [pytest.param(True, id="by our check"), pytest.param(False, id="by Envoy")]
)
async def test_a_rejected_app_is_served_by_its_servers_of_now_and_never_by_an_address_that_was_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[AppRoutes], AppRoutes], checked: bool
) -> None:
    if not checked:
        monkeypatch.setattr(target, "fault", lambda app: None)
    servers = [await world.server(name) for name in ("first", "second", "third")]
    router = world.router()
    await world.settled(app(servers[0].endpoint, cookie=COOKIE))
    await world.serving(router)
    session = await world.get(router)
    for turn, server in enumerate(servers):
        before = [other.requests for other in servers]
        moved = app(server.endpoint, cookie=COOKIE)
        published = await world.settled({"shop/cart": spoil(moved["shop/cart"])})
        assert published.rejected.keys() == {"shop/cart"}
        assert published.routed == {"shop/cart"}
        answers = [await world.get(router, cookies=cookies) for cookies in (None, session.cookies)]
        assert {(answer.status, answer.text) for answer in answers} == {(200, server.name)}, turn
        gained = [other.requests - number for other, number in zip(servers, before, strict=True)]
        assert gained == [2 if other is server else 0 for other in servers]


@pytest.mark.parametrize("spoil", [_bad_host, _bad_path], ids=["bad host", "bad path"])
async def test_a_rejected_app_follows_its_editions_of_now(
    world: World, spoil: Callable[[AppRoutes], AppRoutes]
) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    v1, v2 = (EditionRoute(name=f"v{n}", endpoints=(s.endpoint,)) for n, s in ((1, old), (2, new)))
    await world.settled(editions(v1))
    await world.serving(router)
    for found, name in (
        ((v1, replace(v2, weight=0)), "old"),
        ((replace(v1, weight=0), v2), "new"),
        ((v2,), "new"),
    ):
        (routes,) = editions(*found).values()
        published = await world.settled({"shop/cart": spoil(routes)})
        assert published.rejected
        assert {(a.status, a.text) for a in await world.many(8, lambda: world.get(router))} == {(200, name)}
    published = await world.settled({"shop/cart": spoil(replace(routes, editions=()))})
    assert (await world.get(router)).status == 503


async def test_without_a_configuration_that_fits_the_servers_of_now_there_are_none_rather_than_old_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envoy is made to refuse the mixture as well."""
    monkeypatch.setattr(target, "fault", lambda app: None)
    monkeypatch.setattr(target, "with_servers_of", lambda good, newest: _bad_host(newest))
    old, other = await world.server("old"), await world.server("other")
    router = world.router()
    await world.settled(app(old.endpoint) | _other(other))
    await world.serving(router)
    published = await world.settled(
        {"shop/cart": _bad_path(app(other.endpoint)["shop/cart"])} | _other(other)
    )
    assert published.rejected.keys() == {"shop/cart"}
    assert published.routed == {"shop/other"}
    assert (await world.get(router)).status == 503
    assert (await world.get(router, host=OTHER)).text == "other"
    assert old.requests == 0
    await world.settled(app(other.endpoint) | _other(other))
    assert (await world.get(router)).text == "other"


async def test_an_app_that_wants_anothers_host_keeps_its_own_with_its_servers_of_now(world: World) -> None:
    servers = [await world.server(name) for name in ("owner", "before", "after")]
    router = world.router()
    owner = app(servers[0].endpoint, key="shop/owner", hosts=(OTHER,))
    await world.settled(owner | app(servers[1].endpoint))
    await world.serving(router)
    published = await world.settled(owner | app(servers[2].endpoint, hosts=(HOST, OTHER)))
    assert published.rejected.keys() == {"shop/cart"}
    assert published.routed == {"shop/owner", "shop/cart"}
    assert [(await world.get(router, host=host)).text for host in (HOST, OTHER)] == ["after", "owner"]
    assert servers[1].requests == 0


def test_what_one_router_has_taken_and_another_one_refuses_is_not_good() -> None:
    board = target.Board()
    old, new = (
        app(Endpoint(address="127.0.0.1", port=1)),
        app(Endpoint(address="127.0.0.1", port=2), cookie=COOKIE),
    )
    board.accept(board.publish(old).resources.apps)
    taken = board.publish(new).resources.apps
    board.accept(taken)
    board.refuse("shop/cart", taken["shop/cart"], "no")
    found = board.target.resources.apps["shop/cart"].app
    assert found == replace(old["shop/cart"], editions=new["shop/cart"].editions)


async def test_a_router_that_comes_later_is_spared_what_another_one_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "fault", lambda app: None)
    server = await world.server("one")
    world.router("r1")
    good = app(server.endpoint)
    await world.settled(good | _other(server))
    bad = {"shop/cart": _bad_address(good["shop/cart"])}
    await world.settled(bad | _other(server))
    late = world.router("r2")
    published = await world.settled(bad | _other(server), routers=2)
    await world.serving(late)
    assert published.rejected.keys() == {"shop/cart"}
    assert (await world.get(late)).text == "one"


@pytest.mark.parametrize("fresh", [pytest.param(True, id="from the start"), pytest.param(False, id="later")])
async def test_culprits_that_envoy_does_not_name_are_found_by_halving(
    world: World, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    monkeypatch.setattr(target, "fault", lambda app: None)
    monkeypatch.setattr(router_module, "_named", lambda *_: None)
    server = await world.server("one")
    router = world.router()
    apps: dict[str, AppRoutes] = {}
    for number in range(20):
        apps |= app(server.endpoint, key=f"shop/app-{number}", hosts=(f"app-{number}.test",))
    if not fresh:
        await world.settled(app(server.endpoint))
    for key in ("shop/app-3", "shop/app-17"):
        apps[key] = _bad_address(apps[key])
    published = await world.settled(apps | app(server.endpoint))
    assert published.rejected.keys() == {"shop/app-3", "shop/app-17"}
    await world.serving(router)
    assert (await world.get(router, host="app-16.test")).status == 200


async def test_a_host_stays_with_the_app_that_serves_it_and_is_free_when_that_is_gone(world: World) -> None:
    first, second = await world.server("first"), await world.server("second")
    router = world.router()
    older = app(first.endpoint, key="shop/z-older")
    await world.settled(older)
    await world.serving(router)
    newer = app(second.endpoint, key="shop/a-newer")
    published = await world.publish(newer | older)
    assert published.confirmed == {"shop/z-older"}
    assert published.rejected == {"shop/a-newer": f"host '{HOST}': another app has it already"}
    assert (await world.get(router)).text == "first"
    published = await world.publish(newer)
    assert published.confirmed == {"shop/a-newer"}
    assert (await world.get(router)).text == "second"


def _other(server: Server) -> dict[str, AppRoutes]:
    return app(server.endpoint, key="shop/other", hosts=(OTHER,))
