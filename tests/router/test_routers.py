"""Several routers, late ones, dead ones, cut-off ones, and an operator that comes and goes."""

import asyncio
import os
import signal

import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2

from millpond.router.config import EditionRoute
from millpond.router.envoy.resources import CDS
from millpond.router.xds.liveness import Presence

from router.cuts import cuttable
from router.world import World, app, editions, free_port
from waiting import eventually, eventually_async

pytestmark = pytest.mark.integration


async def test_two_routers_serve_the_same_and_both_must_confirm(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    routers = [world.router("r1"), world.router("r2")]
    await world.settled(app(old.endpoint), routers=2)
    for router in routers:
        await world.serving(router)
    published = await world.publish(app(new.endpoint))
    assert published.confirmed == {"shop/cart"}
    assert {(await world.get(router)).text for router in routers} == {"new"}


async def test_a_late_router_and_a_restarted_one_get_the_state(world: World) -> None:
    server = await world.server("one")
    first = world.router("r1")
    await world.settled(app(server.endpoint))
    late = world.router("r2")
    await world.settled(app(server.endpoint), routers=2)
    await world.serving(late)
    assert (await world.get(late)).text == "one"
    first.kill()
    first.start()
    await world.settled(app(server.endpoint), routers=2)
    await world.serving(first)
    assert (await world.get(first)).text == "one"


async def test_a_restarted_operator_takes_over_without_a_failed_request(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    extra = app(old.endpoint, key="shop/extra", hosts=("extra.test",))
    await world.settled(app(old.endpoint) | extra)
    await world.serving(router)
    load = world.load(router)
    for servers in ((new, old), (old, new)):
        await world.control.stop()
        await load.until_more(30)
        await world.start_control()
        await eventually(lambda: _connected(world), 10, "the router is back")
        await load.until_more(30)
        await world.settled(app(servers[0].endpoint))
        assert (await world.get(router)).text == servers[0].name
        assert (await world.get(router, host="extra.test")).status == 404
        await load.until_more(30)
    await world.finish()
    assert not load.failed


@pytest.mark.parametrize("left", [pytest.param(True, id="drains"), pytest.param(False, id="is gone")])
async def test_a_restarted_operator_may_find_that_the_edition_which_routers_serve(
    world: World, left: bool
) -> None:
    old, new = await world.server("old"), await world.server("new")
    router = world.router()
    await world.settled(app(old.endpoint))
    await world.serving(router)
    load = world.load(router)
    await world.control.stop()
    await world.start_control()
    await eventually(lambda: _connected(world), 10, "the router is back")
    drained = (EditionRoute(name="v1", endpoints=(old.draining,), weight=0),) if left else ()
    await world.settled(editions(*drained, EditionRoute(name="v2", endpoints=(new.endpoint,))))
    assert (await world.get(router)).text == "new"
    await load.until_more(30)
    await world.finish()
    assert not load.failed


async def test_a_router_whose_old_stream_still_hangs_is_served_on_the_new_one(world: World) -> None:
    server = await world.server("one")
    await world.publish(app(server.endpoint))
    node = base_pb2.Node(id="hanging", metadata={"stats": f"127.0.0.1:{free_port()}"})
    request = discovery_pb2.DiscoveryRequest(node=node, type_url=CDS)
    async with grpc.aio.insecure_channel(world.xds) as channel:
        method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
        opened = channel.stream_stream(method, discovery_pb2.DiscoveryRequest.SerializeToString)
        old, new = opened(), opened()
        for stream in (old, new):
            await stream.write(request)
            assert await stream.read()
        assert await asyncio.wait_for(old.read(), 5) is grpc.aio.EOF
        assert [state.id for state in world.control.routers()] == ["hanging"]
        new.cancel()


async def test_nothing_is_confirmed_while_routers_of_an_earlier_operator_may_still_come_back(
    world: World,
) -> None:
    server = await world.server("one")
    await world.control.stop()
    await world.start_control(reunion_s=1.0)
    assert not (await world.publish(app(server.endpoint))).confirmed
    await eventually(
        lambda: _confirmed(world, server.endpoint), 5, "without any router it is confirmed in the end"
    )


async def test_a_stopped_router_holds_up_its_confirmation_but_not_the_other_router(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    stopped, running = world.router("r1"), world.router("r2")
    await world.settled(app(old.endpoint), routers=2)
    await world.serving(running)
    os.kill(stopped.pid, signal.SIGSTOP)
    published = await world.publish(app(new.endpoint), deadline_s=0.3)
    assert not published.confirmed
    assert published.waiting == ("r1",)
    assert (await world.get(running)).text == "new"
    os.kill(stopped.pid, signal.SIGCONT)
    await world.settled(app(new.endpoint), routers=2)
    assert (await world.get(stopped)).text == "new"


async def test_publishing_waits_for_no_router_and_whatever_one_acknowledges_is_told(world: World) -> None:
    server = await world.server("one")
    stopped, _ = world.router("r1"), world.router("r2")
    await world.settled(app(server.endpoint), routers=2)
    os.kill(stopped.pid, signal.SIGSTOP)
    for turn in range(10):
        world.control.changed.clear()
        apps = app(server.endpoint) if turn % 2 else app()
        assert world.control.publish(apps).waiting == ("r1", "r2"), "nobody can have acknowledged it yet"
        await asyncio.wait_for(world.control.changed.wait(), 5)
        assert world.control.publish(apps).waiting == ("r1",)


async def test_a_killed_router_is_forgotten_and_no_longer_counts(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    killed, _ = world.router("r1"), world.router("r2")
    await world.settled(app(old.endpoint), routers=2)
    killed.kill()
    published = await world.publish(app(new.endpoint))
    assert published.confirmed == {"shop/cart"}
    assert [state.id for state in world.control.routers()] == ["r2"]


async def test_a_cut_off_router_counts_until_it_is_back(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    port = free_port()
    async with cuttable(port, world.xds.removeprefix("unix:")):
        router = world.router(xds=f"127.0.0.1:{port}")
        kept = app(old.endpoint, key="shop/kept", hosts=("kept.test",))
        await world.settled(app(old.endpoint) | kept)
        await world.serving(router)
    await eventually(lambda: _cut_off(world), 5, "the router is cut off")
    published = await world.publish(app(new.endpoint) | kept)
    assert published.confirmed == {"shop/kept"}
    assert published.waiting == ("r1",)
    assert (await world.publish(kept)).lingering == {"shop/cart"}
    assert (await world.get(router)).text == "old"
    async with cuttable(port, world.xds.removeprefix("unix:")):
        await world.settled(app(new.endpoint) | kept)
        assert (await world.get(router)).text == "new"


async def test_a_cut_off_router_that_is_known_to_be_gone_can_be_forgotten(world: World) -> None:
    """Although it still answers: it is Kubernetes that says so."""
    server = await world.server("one")
    port, seen = free_port(), [Presence.HERE]
    await world.control.stop()
    await world.start_control(presence=lambda name, stats: seen[-1])
    async with cuttable(port, world.xds.removeprefix("unix:")):
        world.router(xds=f"127.0.0.1:{port}")
        await world.settled(app(server.endpoint))
    await eventually(lambda: _cut_off(world), 5, "the router is cut off")
    seen.append(Presence.GONE)
    await eventually_async(lambda: world.control.routers() == (), 5, "it counts no more")
    assert world.control.routers() == ()
    assert (await world.publish(app())).confirmed == {"shop/cart"}


async def _connected(world: World) -> bool:
    return any(state.connected for state in world.control.routers())


async def _cut_off(world: World) -> bool:
    return [(s.connected, s.maybe_serving) for s in world.control.routers()] == [(False, True)]


async def _confirmed(world: World, endpoint: object) -> bool:
    return bool((await world.publish(app(endpoint))).confirmed)  # type: ignore[arg-type]
