"""Several operators, of which one listens: routers find it, and a successor knows whom to wait for."""

import asyncio

import pytest

from millpond.clock import now_s, steady_s
from millpond.ports import free_port
from millpond.router.xds.control import RouterControl
from millpond.router.xds.liveness import Patience

from router.cuts import hung
from router.world import World, app
from waiting import eventually_async

pytestmark = pytest.mark.integration


def addresses(world: World, kind: str) -> list[str]:
    if kind == "unix":
        return [f"unix:{world.folder}/{name}.sock" for name in ("a", "b")]
    return [f"{host}:{free_port()}" for host in ("127.0.0.1", "localhost")]


async def listening(world: World, address: str) -> RouterControl:
    control = RouterControl(listen=address.replace("localhost", "127.0.0.1"), clock=now_s, reunion_s=0.0)
    await control.start()
    world.on_end(control.stop)
    world.control = control
    return control


def connected(control: RouterControl) -> bool:
    return any(state.connected for state in control.routers())


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_routers_go_to_the_one_that_listens_with_streams_and_reports(world: World, kind: str) -> None:
    server, both = await world.server("one"), addresses(world, kind)
    control = await listening(world, both[0])
    router = world.router(xds=",".join(both))
    await world.settled(app(server.endpoint))
    await world.serving(router)
    load = world.load(router)
    for address in (both[1], both[0], both[1]):
        await control.stop()
        began_s = steady_s()
        control = await listening(world, address)
        await eventually_async(lambda here=control: connected(here), 5, "the router is there")
        took_s = steady_s() - began_s
        await world.settled(app(server.endpoint))
        found = [await _window(world) for _ in range(3)]
        assert all(2 * window_s > 1.0 for window_s in found), "no report went elsewhere"
        assert took_s < 2.5, f"{took_s:.1f} s"
    await world.finish()
    assert not load.failed


async def _window(world: World) -> float:
    """The time that the next complete collection covers."""
    found = await world.collected(lambda collected: collected.complete, "all have reported")
    return found[-1].window_s


async def test_a_successor_confirms_nothing_before_those_that_it_was_told_of_are_back(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    await world.control.stop()
    control = RouterControl(listen=world.xds, clock=now_s, reunion_s=3600.0)
    world.control = control
    world.on_end(control.stop)
    await control.start(expected=[("r1", router.stats)], complete=True)
    assert not control.publish(app(server.endpoint)).confirmed
    assert [(s.id, s.maybe_serving) for s in control.routers()] == [("r1", True)]
    began_s = steady_s()
    await world.settled(app(server.endpoint))
    assert steady_s() - began_s < 2.5, "as soon as the last one is back, nobody else is waited for"


async def test_a_successor_waits_for_a_router_that_it_never_saw_no_longer_than_for_others(
    world: World,
) -> None:
    await world.control.stop()
    with hung() as stats:
        gone = f"127.0.0.1:{free_port()}"
        control = RouterControl(
            listen=world.xds, clock=now_s, reunion_s=0.0, patience=Patience(unseen_s=1.5, doubtful_s=1.5)
        )
        world.on_end(control.stop)
        await control.start(expected=[("hung", stats), ("ended", gone)])
        assert {state.id for state in control.routers()} == {"hung", "ended"}
        await eventually_async(lambda: [s.id for s in control.routers()] == ["hung"], 2, "one has ended")
        assert control.publish({}).waiting != ()
        await eventually_async(lambda: not control.routers(), 6, "the other one is lost")


async def test_who_has_stopped_confirms_nothing(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    await world.control.stop()
    await asyncio.sleep(0)
    published = world.control.publish(app(server.endpoint))
    assert not published.confirmed
    assert await world.control.ask([server.address]) is None
