"""Draining: no new requests, the running ones are finished, and it is known when the last one is."""

import asyncio

import pytest

from router.world import FAMILIES, Server, World, app

pytestmark = [pytest.mark.integration, FAMILIES]


async def test_a_drain_with_slow_requests_loses_nothing_and_its_in_flight_goes_to_zero(world: World) -> None:
    stays, leaves = await world.server("stays"), await world.server("leaves")
    router = world.router()
    await world.settled(app(stays.endpoint, leaves.endpoint))
    await world.serving(router)
    slow = [asyncio.create_task(world.get(router, "/?sleep=2")) for _ in range(20)]
    load = world.load(router)
    await load.until_more(50)
    await world.collected(lambda c: c.endpoints[leaves.address].active > 0, "its slow requests are seen")
    published = await world.publish(app(stays.endpoint, leaves.draining))
    assert published.confirmed == {"shop/cart"}
    asked = await world.control.ask((leaves.address,))
    assert asked is not None
    sent = asked[leaves.address].total  # some may still be on their way
    assert leaves.active > 0
    await world.collected(lambda c: _idle(c.endpoints[leaves.address]), "in flight is zero")
    assert leaves.active == 0
    assert leaves.requests == sent
    await leaves.stop()
    await load.until_more(50)
    await world.finish()
    assert not load.failed
    assert {(await task).status for task in slow} == {200}


async def test_when_every_server_drains_new_requests_get_503_and_reach_none(world: World) -> None:
    servers: list[Server] = [await world.server(f"s{i}") for i in range(3)]
    router = world.router()
    await world.settled(app(*(server.endpoint for server in servers)))
    await world.serving(router)
    await world.settled(app(*(server.draining for server in servers)))
    answers = await world.many(20, lambda: world.get(router))
    assert {answer.status for answer in answers} == {503}
    assert sum(server.requests for server in servers) == 0


async def test_a_draining_majority_gets_nothing(world: World) -> None:
    servers = [await world.server(f"s{i}") for i in range(4)]
    router = world.router()
    await world.settled(app(servers[0].endpoint, *(server.draining for server in servers[1:])))
    await world.serving(router)
    answers = await world.many(60, lambda: world.get(router))
    assert {answer.text for answer in answers} == {"s0"}


def _idle(load: object) -> bool:
    return (load.active, load.pending) == (0, 0)  # type: ignore[attr-defined]
