"""Several apps on one host: each gets its paths, keeps its sessions to itself, and is refused alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from millpond.router.config import EDITION_COOKIE, AppRoutes, EditionRoute, Endpoint, Match, Pins, Preview
from millpond.router.xds import router as router_module
from millpond.router.xds import target

from router.world import HOST, Server, World

pytestmark = pytest.mark.integration
OWN = f"{EDITION_COOKIE}-0a1b2c3d"


def on(
    key: str,
    *paths: str,
    servers: tuple[Server, ...],
    cookie: str | None = None,
    names: tuple[str, ...] = (EDITION_COOKIE,),
    host: str = HOST,
) -> dict[str, AppRoutes]:
    """An app of editions v1, v2 and so on, of one server each, on some paths of the host."""
    editions = tuple(
        EditionRoute(name=f"v{n}", endpoints=(server.endpoint,)) for n, server in enumerate(servers, start=1)
    )
    matches = tuple(Match(host=host, path_prefix=path, edition_cookies=names) for path in paths)
    return {key: AppRoutes(key=key, matches=matches, editions=editions, affinity_cookie=cookie)}


async def test_the_longest_prefix_wins_whichever_app_has_it_and_in_whatever_order_they_come(
    world: World,
) -> None:
    root, cart, deep = [await world.server(name) for name in ("root", "cart", "deep")]
    router = world.router()
    apps = (
        on("shop/root", "/", "/cart/deep/own", servers=(root,))
        | on("shop/cart", "/cart", "/other", servers=(cart,))
        | on("bank/deep", "/cart/deep", servers=(deep,))
    )
    wanted = {
        "/": "root", "/cart": "cart", "/cart/": "cart", "/cartoon": "root", "/cart/x?y": "cart", "/other/x": "cart",
        "/cart/deep": "deep", "/cart/deep/x": "deep", "/cart/deeper": "cart", "/cart/deep/own/x": "root",
    }  # fmt: skip
    await world.settled(apps)
    await world.serving(router)
    for order in (apps, dict(reversed(apps.items()))):
        await world.settled(order)
        assert {path: (await world.get(router, path)).text for path in wanted} == wanted

    without = {key: app for key, app in apps.items() if key != "shop/root"}
    await world.settled(without)
    assert (await world.get(router, "/")).status == 404
    assert (await world.get(router, "/cart/deep/own")).text == "deep"
    await world.settled({"shop/cart": apps["shop/cart"]})
    assert (await world.get(router, "/cart/deep")).text == "cart"


async def test_a_host_with_a_dot_or_a_port_or_in_capitals_is_the_same_and_a_name_goes_before_wildcards(
    world: World,
) -> None:
    name, below, all_ = [await world.server(text) for text in ("name", "below", "all")]
    router = world.router()
    await world.settled(
        on("a/name", "/x", servers=(name,), host="a.test")
        | on("a/below", "/", servers=(below,), host="*.test")
        | on("a/all", "/", servers=(all_,), host="*")
    )
    await world.serving(router)
    wanted = {
        "a.test": "name", "A.Test": "name", "a.test:80": "name", "a.test.": "name", "a.test.:8080": "name",
        "b.test": "below", "b.c.test.": "below", "test": "all", "other": "all",
    }  # fmt: skip
    assert {host: (await world.get(router, "/x", host=host)).text for host in wanted} == wanted
    assert (await world.get(router, "/y", host="a.test")).status == 404


async def test_apps_on_one_host_have_sessions_of_their_own(world: World) -> None:
    one, two, three, four = [await world.server(name) for name in ("one", "two", "three", "four")]
    router = world.router()
    left = on("shop/left", "/left", servers=(one, two), cookie="LEFT", names=(f"{OWN}l",))
    right = on("shop/right", "/right", servers=(three, four), cookie="RIGHT", names=(f"{OWN}r",))
    await world.settled(left | right)
    await world.serving(router)
    clients = await world.many(20, lambda: world.get(router, "/left"))
    for client in clients:
        assert client.cookies.keys() == {"LEFT", f"{OWN}l"}
        there = await world.get(router, "/right", cookies=client.cookies)
        assert there.cookies.keys() == {"RIGHT", f"{OWN}r"}
        both = {**client.cookies, **there.cookies}
        for _ in range(3):
            assert (await world.get(router, "/left", cookies=both)).text == client.text
            assert (await world.get(router, "/right/x", cookies=both)).text == there.text
    assert {client.text for client in clients} == {"one", "two"}


async def test_sessions_live_through_a_host_becoming_shared_and_alone_again(world: World) -> None:
    old, new, other = [await world.server(name) for name in ("old", "new", "other")]
    router = world.router()
    second = on("bank/second", "/bank", servers=(other, other), names=(f"{OWN}b",))

    def first(*names: str) -> dict[str, AppRoutes]:
        return on("shop/first", "/", servers=(old, new), cookie="FIRST", names=names)

    await world.settled(first(EDITION_COOKIE))
    await world.serving(router)
    alone = await world.many(20, lambda: world.get(router))
    assert all(client.cookies.keys() == {"FIRST", EDITION_COOKIE} for client in alone)

    await world.settled(first(OWN, EDITION_COOKIE) | second)
    shared = await world.many(20, lambda: world.get(router))
    assert all(client.cookies.keys() == {"FIRST", OWN} for client in shared)
    for client in alone:
        assert (await world.get(router, cookies=client.cookies)).text == client.text
        strange = await world.get(router, "/bank", cookies=client.cookies)
        assert f"{OWN}b" in strange.cookies, "what another app set pins nobody"

    await world.settled(first(EDITION_COOKIE, OWN))
    for client in (*alone, *shared):
        assert (await world.get(router, cookies=client.cookies)).text == client.text
    assert {client.text for client in (*alone, *shared)} == {"old", "new"}


async def test_the_cookie_that_is_set_now_goes_before_one_from_earlier(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    (app,) = on("shop/first", "/", servers=(old, new), cookie="S", names=(OWN, EDITION_COOKIE)).values()
    bound = replace(app.editions[0], weight=0, pins=Pins.BOUND)
    await world.settled({"shop/first": replace(app, editions=(bound, app.editions[1]))})
    await world.serving(router)
    for _ in range(5):
        answer = await world.get(router, cookies={EDITION_COOKIE: "v1", OWN: "v2"})
        assert (answer.text, OWN in answer.cookies) == ("new", False)


async def test_a_preview_on_a_host_that_others_have_paths_on_gets_all_others(world: World) -> None:
    old, new, other = [await world.server(name) for name in ("old", "new", "other")]
    router = world.router()
    (app,) = on("shop/cart", "/cart", "/cart/x", servers=(old, new)).values()
    preview = replace(app.editions[1], weight=0, preview=Preview(header=None, hosts=("preview.test",)))
    await world.settled(
        {"shop/cart": replace(app, editions=(app.editions[0], preview))}
        | on("shop/other", "/cart", servers=(other,), host="preview.test")
    )
    await world.serving(router)
    wanted = {"/": "new", "/x": "new", "/cart": "other", "/cart/x": "other"}
    assert {p: (await world.get(router, p, host="preview.test")).text for p in wanted} == wanted


async def test_what_two_apps_claim_stays_with_the_one_that_serves_it(world: World) -> None:
    one, two = await world.server("one"), await world.server("two")
    router = world.router()
    first = on("shop/z-first", "/", "/cart", servers=(one,), cookie="S")
    await world.settled(first)
    await world.serving(router)
    published = await world.publish(on("shop/a-second", "/cart", servers=(two,)) | first)
    assert published.rejected == {"shop/a-second": f"host '{HOST}' and '/cart': another app has it already"}
    published = await world.publish(on("shop/a-second", "/new", servers=(two,), cookie="S") | first)
    assert published.rejected == {
        "shop/a-second": f"host '{HOST}' and 'cookie S': another app has it already"
    }
    assert (await world.get(router, "/cart")).text == "one"


def _bad_path(app: AppRoutes) -> AppRoutes:
    return replace(app, matches=(Match(host=HOST, path_prefix="/b?c"),))


def _bad_address(app: AppRoutes) -> AppRoutes:
    return replace(
        app, editions=(EditionRoute(name="v1", endpoints=(Endpoint(address="nowhere", port=80),)),)
    )


@pytest.mark.parametrize(
    "named", [pytest.param(True, id="as Envoy says"), pytest.param(False, id="by halving")]
)
@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        pytest.param(_bad_path, (200, "two"), id="a bad path"),
        pytest.param(_bad_address, (503, "no healthy upstream"), id="a bad address"),
    ],
)
@pytest.mark.parametrize("fresh", [pytest.param(True, id="from the start"), pytest.param(False, id="later")])
async def test_of_apps_on_one_host_only_the_culprit_is_refused(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    named: bool,
    spoil: Callable[[AppRoutes], AppRoutes],
    kept: tuple[int, str],
    fresh: bool,
) -> None:
    """`kept`: what it answers then, by its last good routes with the servers of now."""
    monkeypatch.setattr(target, "fault", lambda app: None)
    if not named:
        monkeypatch.setattr(router_module, "_named", lambda *_: None)
    server, moved = await world.server("one"), await world.server("two")
    router = world.router()
    apps = {key: app for n in range(5) for key, app in on(f"shop/a{n}", f"/a{n}", servers=(server,)).items()}
    if not fresh:
        await world.settled(apps)
    good = {k: app for n in range(5) for k, app in on(f"shop/a{n}", f"/a{n}", servers=(moved,)).items()}
    published = await world.settled(good | {"shop/a3": spoil(good["shop/a3"])})
    assert published.rejected.keys() == {"shop/a3"}
    await world.serving(router)
    answers = [(await world.get(router, f"/a{n}")).text for n in range(5) if n != 3]
    assert answers == ["two"] * 4
    answer = await world.get(router, "/a3")
    assert (answer.status, answer.text) == ((404, "no app claims this path\n") if fresh else kept)
