"""Sessions stay on their server, also while it drains, and on their edition."""

from collections import Counter

import pytest

from millpond.router.config import AppRoutes, EditionRoute, Pins

from router.world import FAMILIES, Answer, World, app, editions

pytestmark = [pytest.mark.integration, FAMILIES]
COOKIE = "cart-session"


async def test_sessions_stay_on_their_server_and_on_a_draining_one_to_the_end(world: World) -> None:
    servers = [await world.server("one"), await world.server("two")]
    router = world.router()
    await world.settled(app(*(server.endpoint for server in servers), cookie=COOKIE))
    await world.serving(router)
    sessions = await world.many(20, lambda: world.get(router))
    assert {session.text for session in sessions} == {"one", "two"}
    await _stay(world, router, sessions)

    await world.settled(app(servers[0].draining, servers[1].endpoint, cookie=COOKIE))
    await _stay(world, router, sessions)
    new = await world.many(20, lambda: world.get(router))
    assert {session.text for session in new} == {"two"}

    await world.settled(app(servers[1].endpoint, cookie=COOKIE))
    moved = [await world.get(router, cookies=session.cookies) for session in sessions]
    assert {(answer.status, answer.text) for answer in moved} == {(200, "two")}


@pytest.mark.parametrize("names", [("v1", "v2"), ("1.2.3", "3f2a1b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a")])
async def test_editions_share_new_requests_by_weight_and_a_client_stays_on_its_edition(
    world: World, names: tuple[str, str]
) -> None:
    old, new = names
    one, two = await world.server("one"), await world.server("two")
    router = world.router()
    split = editions(
        EditionRoute(name=old, endpoints=(one.endpoint,), weight=50),
        EditionRoute(name=new, endpoints=(two.endpoint,), weight=50),
    )
    await world.settled(split)
    await world.serving(router)
    clients = await world.many(60, lambda: world.get(router))
    assert Counter(client.text for client in clients).keys() == {"one", "two"}
    await _stay(world, router, clients)

    only_new = editions(
        EditionRoute(name=old, endpoints=(one.endpoint,), weight=0, pins=Pins.ALL),
        EditionRoute(name=new, endpoints=(two.endpoint,), weight=100),
    )
    await world.settled(only_new)
    await _stay(world, router, clients)
    assert {client.text for client in await world.many(30, lambda: world.get(router))} == {"two"}


async def test_a_new_edition_takes_new_sessions_and_leaves_the_old_ones_where_they_are(world: World) -> None:
    """From one edition to two to one, as a rollout does it; the old edition's sessions began before there were two."""
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    await world.settled(editions(EditionRoute(name="v1", endpoints=(old.endpoint,)), cookie=COOKIE))
    await world.serving(router)
    sessions = await world.many(10, lambda: world.get(router))

    await world.settled(
        editions(
            EditionRoute(name="v1", endpoints=(old.draining,), weight=0),
            EditionRoute(name="v2", endpoints=(new.endpoint,)),
            cookie=COOKIE,
        )
    )
    await _stay(world, router, sessions)
    strangers = [{"millpond-edition": "v1"}, {"millpond-edition": "v1", COOKIE: "MTI3LjAuMC4xOjE="}, None]
    found = [await world.get(router, cookies=cookies) for cookies in strangers]
    assert {(answer.status, answer.text) for answer in found} == {(200, "new")}

    await world.settled(editions(EditionRoute(name="v2", endpoints=(new.endpoint,)), cookie=COOKIE))
    moved = [await world.get(router, cookies=session.cookies) for session in sessions]
    assert {(answer.status, answer.text) for answer in moved} == {(200, "new")}


async def test_clients_pinned_to_an_edition_move_on_when_it_has_no_server_without_a_failed_request(
    world: World,
) -> None:
    one, two = await world.server("one"), await world.server("two")
    router = world.router()
    both = (
        EditionRoute(name="v1", endpoints=(one.endpoint,), weight=1),
        EditionRoute(name="v2", endpoints=(two.endpoint,), weight=1),
    )
    await world.settled(editions(*both))
    await world.serving(router)
    pinned = {"millpond-edition": "v1"}
    assert (await world.get(router, cookies=pinned)).text == "one"
    load = world.load(router, cookies=pinned)
    for turn in range(10):
        server = one.draining if turn % 2 else one.endpoint
        await world.settled(editions(EditionRoute(name="v1", endpoints=(server,), weight=1), both[1]))
        await load.until_more(20)
    await world.finish()
    assert not load.failed
    assert {answer.text for answer in load.answers if isinstance(answer, Answer)} == {"one", "two"}


async def test_an_edition_without_a_server_gets_no_share_of_new_requests(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    routes: dict[str, AppRoutes] = editions(
        EditionRoute(name="v1", endpoints=(server.endpoint,), weight=1), EditionRoute(name="v2", endpoints=())
    )
    await world.settled(routes)
    await world.serving(router)
    assert {(a.status, a.text) for a in await world.many(20, lambda: world.get(router))} == {(200, "one")}


async def test_an_edition_of_weight_0_gets_no_new_request_even_when_no_other_can_answer(world: World) -> None:
    server, gone = await world.server("one"), await world.server("gone")
    router = world.router()
    idle = EditionRoute(name="v1", endpoints=(server.endpoint,), weight=0)
    await world.settled(editions(idle, EditionRoute(name="v2", endpoints=(gone.draining,))))
    await world.serving(router)
    assert {a.status for a in await world.many(10, lambda: world.get(router))} == {503}
    await world.settled(editions(idle))
    assert {a.status for a in await world.many(10, lambda: world.get(router))} == {503}
    assert (server.requests, gone.requests) == (0, 0)
    assert (await world.get(router, cookies={"millpond-edition": "v1"})).status == 503
    draining = EditionRoute(name="v1", endpoints=(server.endpoint,), weight=0, pins=Pins.ALL)
    await world.settled(editions(draining))
    assert (await world.get(router, cookies={"millpond-edition": "v1"})).text == "one"


async def test_a_cookie_set_by_hand_leads_to_no_edition_that_takes_no_new_sessions(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()

    def versions(cookie: str | None, pins: Pins | None, weight: int = 0) -> dict[str, AppRoutes]:
        return editions(
            EditionRoute(name="v1", endpoints=(old.endpoint,)),
            EditionRoute(name="v2", endpoints=(new.endpoint,), weight=weight, pins=pins),
            cookie=cookie,
        )

    await world.settled(versions(COOKIE, None, weight=100))
    await world.serving(router)
    sessions = [a for a in await world.many(30, lambda: world.get(router)) if a.text == "new"]
    assert sessions
    by_hand = {"millpond-edition": "v2"}
    for cookie in (COOKIE, None):
        for pins in (None, Pins.BOUND, Pins.NONE):
            await world.settled(versions(cookie, pins))
            assert (await world.get(router, cookies=by_hand)).text == "old"
            assert (await world.get(router, cookies={**by_hand, COOKIE: "MTI3LjAuMC4xOjE="})).text == "old"
    await world.settled(versions(COOKIE, Pins.BOUND))
    await _stay(world, router, sessions)


async def test_users_of_an_edition_that_is_taken_back_for_errors_move_at_once_and_lose_no_request(
    world: World,
) -> None:
    old, bad = await world.server("old"), await world.server("bad")
    router = world.router()

    def versions(weight: int, pins: Pins | None) -> dict[str, AppRoutes]:
        sound = EditionRoute(name="v1", endpoints=(old.endpoint,), weight=100 - weight)
        return editions(
            sound,
            EditionRoute(name="v2", endpoints=(bad.endpoint,), weight=weight, pins=pins),
            cookie=COOKIE,
        )

    await world.settled(versions(50, None))
    await world.serving(router)
    sessions = [a for a in await world.many(40, lambda: world.get(router)) if a.text == "bad"]
    assert sessions
    load = world.load(router, cookies=sessions[0].cookies)
    await load.until_more(20)
    await world.settled(versions(0, Pins.NONE))
    await load.until_more(40)  # what was on its way to the server when the router acknowledged has arrived
    before = bad.requests
    for session in sessions:
        moved = await world.get(router, cookies=session.cookies)
        assert (moved.status, moved.text, moved.cookies["millpond-edition"]) == (200, "old", "v1")
    await load.until_more(20)
    await world.finish()
    assert not load.failed
    assert bad.requests == before


async def _stay(world: World, router: object, sessions: list[Answer]) -> None:
    """Three requests of every session come from the server of its first."""
    for session in sessions * 3:
        again = await world.get(router, cookies=session.cookies)  # type: ignore[arg-type]
        assert (again.status, again.text) == (200, session.text)
