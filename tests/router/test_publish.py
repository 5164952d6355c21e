"""What is published and confirmed is what is served, from the confirmation on."""

import pytest

from millpond.router.config import AppRoutes, EditionRoute, Match

from router.world import HOST, World, app

pytestmark = pytest.mark.integration


async def test_after_the_confirmation_no_request_reaches_the_old_server(world: World) -> None:
    servers = [await world.server("old"), await world.server("new")]
    router = world.router()
    await world.settled(app(servers[0].endpoint))
    await world.serving(router)
    for turn in range(10):
        new = servers[(turn + 1) % 2]
        published = await world.publish(app(new.endpoint))
        assert published.confirmed == {"shop/cart"}
        answers = await world.many(20, lambda: world.get(router))
        assert {answer.text for answer in answers} == {new.name}


async def test_new_and_removed_apps_under_load_never_fail_the_others(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    stays = app(server.endpoint)
    await world.settled(stays)
    await world.serving(router)
    load = world.load(router)
    for turn in range(10):
        key, host = f"shop/extra-{turn}", f"extra-{turn}.test"
        published = await world.publish(stays | app(server.endpoint, key=key, hosts=(host,)))
        assert key in published.confirmed
        assert (await world.get(router, host=host)).status == 200
        assert not (await world.publish(stays)).lingering
        assert (await world.get(router, host=host)).status == 404
    await world.finish()
    assert load.answers
    assert not load.failed


async def test_an_app_that_moves_its_host_to_new_editions_under_load_loses_nothing(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    load = world.load(router)
    for turn in range(10):
        edition = EditionRoute(name=f"v{turn + 2}", endpoints=(server.endpoint,))
        routes = AppRoutes(key="shop/cart", matches=(Match(host=HOST),), editions=(edition,))
        assert (await world.publish({"shop/cart": routes})).confirmed
        await load.until_more(10)
    await world.finish()
    assert not load.failed


async def test_hosts_match_with_any_port_and_any_case_and_others_are_told_so(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    wild = app(server.endpoint, key="shop/wild", hosts=("*.wild.test",))
    await world.settled(app(server.endpoint) | wild)
    await world.serving(router)
    for host in (HOST, HOST.upper(), f"{HOST}:8080", "any.wild.test"):
        assert (await world.get(router, host=host)).text == "one"
    answer = await world.get(router, host="other.test")
    assert (answer.status, answer.text) == (404, "no app claims this host\n")


async def test_a_path_prefix_ends_at_a_slash_and_other_paths_are_not_found(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    edition = EditionRoute(name="v1", endpoints=(server.endpoint,))
    matches = (Match(host=HOST, path_prefix="/cart/"), Match(host=HOST, path_prefix="/cart/old"))
    await world.settled({"shop/cart": AppRoutes(key="shop/cart", matches=matches, editions=(edition,))})
    await world.serving(router)
    found = {
        path: (await world.get(router, path)).status
        for path in ("/cart", "/cart/1", "/cart/old/1", "/carts", "/")
    }
    assert found == {"/cart": 200, "/cart/1": 200, "/cart/old/1": 200, "/carts": 404, "/": 404}


@pytest.mark.parametrize("known", [pytest.param(True, id="an edition"), pytest.param(False, id="no edition")])
async def test_an_app_without_a_server_is_unavailable(world: World, known: bool) -> None:
    router = world.router()
    routes = AppRoutes(
        key="shop/cart",
        matches=(Match(host=HOST),),
        editions=(EditionRoute(name="v1", endpoints=()),) if known else (),
    )
    await world.settled({"shop/cart": routes})
    await world.serving(router)
    assert (await world.get(router)).status == 503


async def test_nothing_is_sent_before_the_first_publication(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.collected(lambda c: not c.complete, "patience with the router ends")
    assert not router.ready()
    assert not any(state.maybe_serving for state in world.control.routers())
    await world.settled(app(server.endpoint))
    await world.serving(router)
    assert (await world.get(router)).status == 200


async def test_requests_survive_a_server_that_died_while_it_is_published(world: World) -> None:
    alive, dead = await world.server("alive"), await world.server("dead")
    router = world.router()
    await world.settled(app(alive.endpoint, dead.endpoint))
    await world.serving(router)
    await dead.stop()
    answers = await world.many(60, lambda: world.get(router, method="POST"))
    assert {(answer.status, answer.text) for answer in answers} == {(200, "alive")}
