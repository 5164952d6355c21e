"""One app's bad routes stay out; the others go on, and the app stays at its last good configuration."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from millpond.router import router as router_module
from millpond.router import target
from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match

from router.world import HOST, Server, World, app

pytestmark = pytest.mark.integration
OTHER = "other.test"


def _bad_host(good: AppRoutes) -> AppRoutes:
    return replace(good, matches=(Match(host="bad\nhost"),))


def _bad_path(good: AppRoutes) -> AppRoutes:
    return replace(good, matches=(Match(host=HOST, path_prefix="/a?b"),))


def _bad_address(good: AppRoutes) -> AppRoutes:
    return replace(
        good, editions=(EditionRoute(name="v1", endpoints=(Endpoint(address="nowhere", port=80),)),)
    )


def _bad_address_of_a_new_edition(good: AppRoutes) -> AppRoutes:
    return replace(
        good, editions=(EditionRoute(name="v2", endpoints=(Endpoint(address="nowhere", port=80),)),)
    )


def _bad_port(good: AppRoutes) -> AppRoutes:
    return replace(
        good, editions=(EditionRoute(name="v1", endpoints=(Endpoint(address="127.0.0.1", port=70_000),)),)
    )


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
        published = await world.control.publish(bad | _other(new))
        assert published.confirmed == {"shop/other"}
        assert published.rejected.keys() == {"shop/cart"}
        assert published.rejected["shop/cart"]
    assert (await world.get(router)).text == "old"
    assert (await world.get(router, host=OTHER)).text == "new"

    published = await world.control.publish(app(new.endpoint) | _other(new))
    assert published.confirmed == {"shop/cart", "shop/other"}
    assert not published.rejected
    assert (await world.get(router)).text == "new"


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
    published = await world.control.publish(newer | older)
    assert published.confirmed == {"shop/z-older"}
    assert published.rejected == {"shop/a-newer": f"host '{HOST}': claimed by shop/z-older already"}
    assert (await world.get(router)).text == "first"
    published = await world.control.publish(newer)
    assert published.confirmed == {"shop/a-newer"}
    assert (await world.get(router)).text == "second"


def _other(server: Server) -> dict[str, AppRoutes]:
    return app(server.endpoint, key="shop/other", hosts=(OTHER,))
