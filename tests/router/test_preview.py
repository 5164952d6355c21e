"""Previews: who asks for an edition by header or host gets it, nobody else does, and nobody is pinned by it."""

import pytest

from millpond.router.config import EditionRoute, Preview

from router.world import HOST, Server, World, editions

pytestmark = pytest.mark.integration
COOKIE = "cart-session"
TESTER = {"x-canary": "yes"}
PREVIEW_HOST = "preview.shop.test"
PREVIEW = Preview(header=("X-Canary", "yes"), hosts=("Preview.shop.test",))


async def test_a_header_or_a_host_leads_to_the_previewed_edition_and_nothing_else_does(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    await world.settled(_versions(old, new, cookie=COOKIE))
    await world.serving(router)
    ordinary = await world.many(20, lambda: world.get(router))
    others = [{"x-canary": value} for value in ("no", "yes ", "yes please", "YES", "")]
    near = [await world.get(router, headers=headers) for headers in others]
    stale = await world.get(router, cookies={"millpond-edition": "v2"})
    # A header's value has no spaces around it: HTTP takes them away.
    assert [answer.text for answer in near] == ["old", "new", "old", "old", "old"]
    assert {answer.text for answer in (*ordinary, stale)} == {"old"}

    testers = await world.many(20, lambda: world.get(router, headers=TESTER))
    testers += await world.many(20, lambda: world.get(router, "/any/path", host=PREVIEW_HOST))
    assert {answer.text for answer in testers} == {"new"}
    assert all(answer.cookies.keys() == {COOKIE} for answer in testers)
    assert all(answer.cookies["millpond-edition"] == "v1" for answer in (*ordinary, stale))


async def test_a_tester_is_previewed_with_any_cookies_and_an_ordinary_user_again_without_the_header(
    world: World,
) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    await world.settled(_versions(old, new, cookie=COOKIE))
    await world.serving(router)
    cookies = dict((await world.get(router)).cookies)
    assert cookies["millpond-edition"] == "v1"
    previewed = await world.get(router, cookies=cookies, headers=TESTER)
    assert previewed.text == "new"
    cookies |= previewed.cookies
    assert (await world.get(router, cookies=cookies, headers=TESTER)).text == "new"
    assert (await world.get(router, cookies=cookies)).text == "old"


@pytest.mark.parametrize("by", [pytest.param("header"), pytest.param("host")])
async def test_a_tester_stays_on_his_server_also_while_it_drains(world: World, by: str) -> None:
    old, one, two = [await world.server(name) for name in ("old", "one", "two")]
    router = world.router()
    asked = {"headers": TESTER} if by == "header" else {"host": PREVIEW_HOST}
    await world.settled(_versions(old, one, two, cookie=COOKIE))
    await world.serving(router)
    testers = await world.many(20, lambda: world.get(router, **asked))  # type: ignore[arg-type]
    assert {tester.text for tester in testers} == {"one", "two"}
    v1 = EditionRoute(name="v1", endpoints=(old.endpoint,))
    v2 = EditionRoute(name="v2", endpoints=(one.draining, two.endpoint), weight=0, preview=PREVIEW)
    for routes in (_versions(old, one, two, cookie=COOKIE), editions(v1, v2, cookie=COOKIE)):
        await world.settled(routes)
        for tester in testers:
            again = await world.get(router, cookies=tester.cookies, **asked)  # type: ignore[arg-type]
            assert (again.status, again.text) == (200, tester.text)


async def test_a_session_stays_on_an_edition_that_goes_back_from_a_share_to_a_preview(world: World) -> None:
    """A canary whose weight is taken back: its sessions end where they are, others don't come."""
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    await world.settled(_versions(old, new, cookie=COOKIE, weight=100))
    await world.serving(router)
    sessions = [a for a in await world.many(30, lambda: world.get(router)) if a.text == "new"]
    await world.settled(_versions(old, new, cookie=COOKIE))
    assert sessions
    for session in sessions:
        assert (await world.get(router, cookies=session.cookies)).text == "new"
    assert {a.text for a in await world.many(20, lambda: world.get(router))} == {"old"}


async def test_a_preview_without_a_server_answers_503_and_never_with_another_edition(world: World) -> None:
    old = await world.server("old")
    router = world.router()
    await world.settled(_versions(old))
    await world.serving(router)
    assert (await world.get(router, headers=TESTER)).status == 503
    assert (await world.get(router, host=PREVIEW_HOST)).status == 503
    assert (await world.get(router, host=HOST)).text == "old"


def _versions(old: Server, *new: Server, cookie: str | None = None, weight: int = 0):  # type: ignore[no-untyped-def]
    endpoints = tuple(server.endpoint for server in new)
    return editions(
        EditionRoute(name="v1", endpoints=(old.endpoint,)),
        EditionRoute(name="v2", endpoints=endpoints, weight=weight, preview=PREVIEW),
        cookie=cookie,
    )
