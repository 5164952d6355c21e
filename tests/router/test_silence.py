"""Routers that vanish, hang, or come back again and again: what still counts, for how long, and at what cost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager

import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2

from millpond.clock import steady_s
from millpond.router.config import AppRoutes, Endpoint
from millpond.router.envoy.resources import CDS, EDS
from millpond.router.xds.liveness import Patience, Presence, Sign, Silence, look

from router.cuts import cuttable, hung, vanished
from router.world import World, app
from waiting import eventually_async

pytestmark = pytest.mark.integration
SHOP = app(Endpoint(address="127.0.0.1", port=9))
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
SOON = Patience(unseen_s=2.0, doubtful_s=0.5)


@asynccontextmanager
async def returning(world: World, stats: str, name: str = "r1") -> AsyncIterator[None]:
    """A router that comes with an old configuration and acknowledges nothing; cut off in the end."""
    node = base_pb2.Node(id=name, metadata={"stats": stats})
    async with grpc.aio.insecure_channel(world.xds) as channel:
        stream = channel.stream_stream(ADS, discovery_pb2.DiscoveryRequest.SerializeToString)()
        await stream.write(discovery_pb2.DiscoveryRequest(node=node, type_url=CDS, version_info="7"))
        await stream.write(discovery_pb2.DiscoveryRequest(type_url=EDS, resource_names=["old/app/v1"]))
        await eventually_async(lambda: connected(world, name), 5, "it is connected")
        yield
        stream.cancel()
    await eventually_async(lambda: not connected(world, name), 5, "it is cut off")


def connected(world: World, name: str) -> bool:
    return any(state.id == name and state.connected for state in world.control.routers())


def known(world: World) -> list[str]:
    return [state.id for state in world.control.routers()]


async def confirmed(world: World, apps: dict[str, AppRoutes] = SHOP) -> bool:
    return bool((await world.publish(apps, deadline_s=0.2)).confirmed)


@pytest.mark.parametrize(
    ("silent", "sign"),
    [
        pytest.param(vanished, Sign.SILENT, id="vanished: connections are neither accepted nor refused"),
        pytest.param(hung, Sign.SILENT, id="hung: connections are accepted and nothing is answered"),
    ],
)
async def test_a_silent_address_is_told_from_one_that_refuses(
    silent: Callable[[], AbstractContextManager[str]], sign: Sign
) -> None:
    with silent() as stats:
        assert await look(stats) is sign
    assert await look(stats) is Sign.REFUSES


@pytest.mark.parametrize(
    "silent", [pytest.param(vanished, id="that has vanished"), pytest.param(hung, id="that hangs")]
)
async def test_nothing_is_confirmed_for_a_bounded_time_after_the_loss_of_a_router(
    world: World, silent: Callable[[], AbstractContextManager[str]]
) -> None:
    await world.control.stop()
    await world.start_control(patience=SOON)
    with silent() as stats:
        async with returning(world, stats):
            assert not await confirmed(world)
        assert not await confirmed(world)
        (state,) = await eventually_async(
            lambda: [s for s in world.control.routers() if s.condition == "silent"], 5, "it is found silent"
        )
        assert "silent for" in state.described
        await eventually_async(lambda: not known(world), 10, "it counts no more")
        assert await confirmed(world)
        async with returning(world, stats):
            assert not await confirmed(world), "what comes back may serve an old configuration"


async def test_a_stopped_envoy_is_lost_and_one_that_goes_on_must_acknowledge(world: World) -> None:
    old, new = await world.server("old"), await world.server("new")
    await world.control.stop()
    await world.start_control(patience=SOON)
    world.router("r1")
    async with cuttable(0, world.xds.removeprefix("unix:")) as port:
        router = world.router("r2", xds=f"127.0.0.1:{port}")
        await world.settled(app(old.endpoint), routers=2)
        await world.serving(router)
        os.kill(router.pid, signal.SIGSTOP)
    await eventually_async(lambda: known(world) == ["r1"], 15, "the stopped router counts no more")
    assert (await world.publish(app(new.endpoint))).confirmed
    async with cuttable(port, world.xds.removeprefix("unix:")):
        os.kill(router.pid, signal.SIGCONT)
        await world.settled(app(new.endpoint), routers=2)
        assert (await world.get(router)).text == "new"


async def test_a_router_that_answers_counts_although_only_its_stream_is_cut(world: World) -> None:
    server = await world.server("one")
    await world.control.stop()
    await world.start_control(patience=Patience(unseen_s=0.5, doubtful_s=0.5))
    async with cuttable(0, world.xds.removeprefix("unix:")) as port:
        router = world.router(xds=f"127.0.0.1:{port}")
        await world.settled(app(server.endpoint))
        await world.serving(router)
    until_s = steady_s() + 3
    while steady_s() < until_s:
        assert not await confirmed(world, app())
    assert [state.condition for state in world.control.routers()] == ["cut-off"]


@pytest.mark.parametrize(
    ("presence", "within_s"),
    [
        pytest.param(Presence.GONE, 2.0, id="its pod is gone: at once"),
        pytest.param(Presence.DOUBTFUL, 5.0, id="its pod is not ready: after a short time"),
        pytest.param(Presence.HERE, None, id="its pod is ready: it counts"),
    ],
)
async def test_what_kubernetes_says_of_a_silent_router_decides(
    world: World, presence: Presence, within_s: float | None
) -> None:
    await world.control.stop()
    patience = Patience(unseen_s=0.1, doubtful_s=1.0)
    await world.start_control(patience=patience, presence=lambda name, stats: presence)
    with hung() as stats:
        async with returning(world, stats):
            pass
        if within_s is not None:
            await eventually_async(lambda: not known(world), within_s, "it counts no more")
            return
        await eventually_async(lambda: world.control.routers()[0].silent_s > 2, 10, "it is silent")
        assert known(world) == ["r1"]


async def test_however_often_a_router_reconnects_it_is_watched_once_and_only_while_it_is_away(
    world: World,
) -> None:
    async with Counted.start() as stats:
        async with returning(world, stats.address):
            before = len(asyncio.all_tasks())
        for _ in range(30):
            async with returning(world, stats.address):
                pass
        assert len(asyncio.all_tasks()) <= before + 5
        began_s, began = steady_s(), stats.connections
        await eventually_async(lambda: stats.connections >= began + 4, 10, "it is asked while it is away")
        assert (stats.connections - began) / (steady_s() - began_s) < 4, "twice a second"
        async with returning(world, stats.address):
            after = stats.connections
            until_s = steady_s() + 1.5
            while steady_s() < until_s:
                assert stats.connections <= after + 1, "one that is back is not asked"
                await asyncio.sleep(0.05)


async def test_a_router_that_was_cut_off_many_times_is_waited_for_like_any_other(world: World) -> None:
    servers = [await world.server("one"), await world.server("two")]
    async with cuttable(0, world.xds.removeprefix("unix:")) as port:
        router = world.router(xds=f"127.0.0.1:{port}")
        await world.settled(app(servers[0].endpoint))
        await world.serving(router)
    for _ in range(5):
        await eventually_async(lambda: not connected(world, "r1"), 5, "it is cut off")
        async with cuttable(port, world.xds.removeprefix("unix:")):
            await eventually_async(lambda: connected(world, "r1"), 5, "it is back")
            await world.settled(app(servers[0].endpoint))
    await eventually_async(lambda: not connected(world, "r1"), 5, "it is cut off")
    async with cuttable(port, world.xds.removeprefix("unix:")):
        await eventually_async(lambda: connected(world, "r1"), 5, "it is back")
        await world.settled(app(servers[0].endpoint) | app(key="shop/more", hosts=("more.test",)))
        until_s, turn = steady_s() + 3, 0
        while steady_s() < until_s:
            turn += 1
            published = await world.publish(app(servers[turn % 2].endpoint))
            assert published.confirmed


async def test_a_router_that_took_over_an_address_ends_the_doubt_about_the_one_before(world: World) -> None:
    async with Counted.start() as stats:
        async with returning(world, stats.address, "r1"):
            pass
        assert known(world) == ["r1"]
        async with returning(world, stats.address, "r2"):
            assert known(world) == ["r2"]


def test_time_in_which_nobody_listened_is_no_silence() -> None:
    silence = Silence()
    silence.saw(Sign.SILENT, 100.0)
    silence.saw(Sign.SILENT, 102.0)
    assert silence.seconds == pytest.approx(2.0)
    silence.saw(Sign.SILENT, 1000.0)
    assert silence.seconds <= 5.0
    silence.saw(Sign.ANSWERS, 1001.0)
    assert silence.seconds == 0.0


class Counted:
    """An address that answers by HTTP and counts who asks."""

    def __init__(self) -> None:
        self.connections, self.address = 0, ""

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["Counted"]:
        counted = cls()
        server = await asyncio.start_server(counted._answer, "127.0.0.1", 0)
        counted.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield counted
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readline()
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        writer.close()
