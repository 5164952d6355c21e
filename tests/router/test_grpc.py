"""gRPC and HTTP/2 to servers, by real clients and real servers."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import grpc
import pytest

from millpond.api.protocol import Protocol
from millpond.clock import now_s
from millpond.router.config import AppRoutes, EditionRoute, Endpoint, cluster_name
from millpond.router.process.envoy import RouterProcess
from millpond.router.telemetry.collector import Collected, EditionSecond
from millpond.router.xds.control import RouterControl

from router.grpcworld import BREAK, COUNT, ECHO, FAIL, GrpcServer, channel, echo, status
from router.test_streams import StreamServer
from router.world import HOST, World, app, editions, free_port
from waiting import eventually

pytestmark = pytest.mark.integration
EDITION = cluster_name("shop/cart", "v1")


def speaking(protocol: Protocol, routes: Mapping[str, AppRoutes]) -> dict[str, AppRoutes]:
    return {key: replace(found, protocol=protocol) for key, found in routes.items()}


async def serving(world: World, protocol: Protocol, routes: Mapping[str, AppRoutes]) -> RouterProcess:
    router = world.router()
    await world.settled(speaking(protocol, routes))
    await world.serving(router)
    return router


async def test_unary_calls_are_requests_with_response_times(world: World) -> None:
    one, two = await world.server("one", GrpcServer), await world.server("two", GrpcServer)
    router = await serving(world, Protocol.GRPC, app(one.endpoint, two.endpoint))
    await world.collected(lambda c: c.complete, "the first report")
    async with channel(router.listen) as line:
        answers = await asyncio.gather(*(echo(line, b"%d" % n) for n in range(40)))
    assert {answer.split()[0] for answer in answers} == {b"one", b"two"}
    assert sorted(int(answer.split()[1]) for answer in answers) == list(range(40))
    found = await world.collected(
        lambda c: sum(c.endpoints[s.address].total for s in (one, two)) == 40, "all are reported"
    )
    seconds = [c.editions[EDITION] for c in found if c.complete]
    assert sum(second.requests for second in seconds) == sum(sum(s.histogram) for s in seconds) == 40
    assert sum(second.streams for second in seconds) == 0


@pytest.mark.parametrize(("protocol", "streams"), [(Protocol.GRPC, False), (Protocol.HTTP2, True)])
async def test_a_stream_of_a_server_comes_as_it_is_sent_and_counts_as_what_the_protocol_says(
    world: World, protocol: Protocol, streams: bool
) -> None:
    server = await world.server("one", GrpcServer)
    router = await serving(world, protocol, app(server.endpoint))
    async with channel(router.listen) as line:
        call = line.unary_stream(COUNT)(b"1000", timeout=60)
        assert [await call.read() for _ in range(3)] == [b"0", b"1", b"2"]
        await world.collected(
            lambda c: (
                (c.endpoints[server.address].streams, c.endpoints[server.address].active)
                == (int(streams), int(not streams))
            ),
            "it is counted",
        )
        call.cancel()
        await eventually(
            lambda: _true(server.active == 0), 10, "the server was told that the client has left"
        )
        short = line.unary_stream(COUNT)(b"5", timeout=10)
        assert [number async for number in short] == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_end_of_a_call_comes_through_with_its_status(world: World) -> None:
    server = await world.server("one", GrpcServer)
    router = await serving(world, Protocol.GRPC, app(server.endpoint))
    async with channel(router.listen) as line:
        assert await status(line, FAIL, b"NOT_FOUND") is grpc.StatusCode.NOT_FOUND
        assert await status(line, "/shop.Cart/Nothing", b"") is grpc.StatusCode.UNIMPLEMENTED
    async with channel(router.listen, host="nobody.test") as line:
        assert await status(line, ECHO, b"") is grpc.StatusCode.UNIMPLEMENTED, "404 in the words of gRPC"
    await world.settled(speaking(Protocol.GRPC, app(server.draining)))
    async with channel(router.listen) as line:
        assert await status(line, ECHO, b"") is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("protocol", [Protocol.GRPC, Protocol.HTTP2])
async def test_a_call_that_ends_by_the_servers_fault_is_an_error(world: World, protocol: Protocol) -> None:
    """Its HTTP status is 200: what went wrong is in the trailers."""
    server = await world.server("one", GrpcServer)
    router = await serving(world, protocol, app(server.endpoint))
    await world.collected(lambda c: c.complete, "the first report")
    faults = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"]
    others = ["NOT_FOUND", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "CANCELLED"]
    async with channel(router.listen) as line:
        for name in faults + others:
            assert (await status(line, FAIL, name.encode())).name == name
        broken = line.unary_stream(BREAK)(b"", timeout=10)
        assert await broken.read() == b"so far"
        assert await broken.code() is grpc.StatusCode.INTERNAL
        await echo(line)
    assert await _counted(world, protocol, 13) == 7

    await world.settled(speaking(protocol, app(server.draining)))
    async with channel(router.listen) as line:
        assert await status(line, ECHO, b"") is grpc.StatusCode.UNAVAILABLE
    assert await _counted(world, protocol, 1) == 1, "what the router answers itself counts once"


async def _counted(world: World, protocol: Protocol, calls: int) -> int:
    """The errors among the next calls."""
    errors = done = 0
    streams = protocol is not Protocol.GRPC

    def all_are_in(collected: Collected) -> bool:
        nonlocal errors, done
        second = collected.editions.get(EDITION, EditionSecond())
        done += second.streams if streams else second.requests
        errors += second.stream_errors if streams else second.errors
        return done >= calls

    await world.collected(all_are_in, f"{calls} calls are reported")
    assert done == calls
    return errors


async def test_servers_that_drain_die_and_come_lose_no_call(world: World) -> None:
    """One connection of the client all the time; a server that ends says so (GOAWAY), a dead one doesn't."""
    servers = [await world.server(f"s{n}", GrpcServer) for n in range(3)]
    gone = Endpoint(address="127.0.0.1", port=free_port())
    router = await serving(world, Protocol.GRPC, app(*(s.endpoint for s in servers), gone))
    answers: list[bytes | Exception] = []
    stop = asyncio.Event()

    async with channel(router.listen) as line:

        async def client() -> None:
            while not stop.is_set():
                answers.extend(await asyncio.gather(echo(line), return_exceptions=True))  # type: ignore[arg-type]
                await asyncio.sleep(0.002)

        async def more(number: int) -> None:
            goal = len(answers) + number
            await eventually(lambda: _true(len(answers) >= goal), 20, f"{number} more answers")

        clients = [asyncio.create_task(client()) for _ in range(8)]
        await more(200)
        await world.settled(speaking(Protocol.GRPC, app(servers[0].draining, servers[1].endpoint)))
        await more(200)
        await world.settled(speaking(Protocol.GRPC, app(servers[1].endpoint, servers[2].endpoint)))
        await servers[0].stop()
        before = servers[2].requests
        await more(200)
        assert servers[2].requests > before
        await world.settled(speaking(Protocol.GRPC, editions(
            EditionRoute(name="v1", endpoints=(servers[1].draining,), weight=0),
            EditionRoute(name="v2", endpoints=(servers[2].endpoint,)),
        )))  # fmt: skip
        await more(200)
        stop.set()
        await asyncio.gather(*clients)
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert len(answers) == sum(server.requests for server in servers)


async def test_http2_to_servers_and_from_clients_also_carries_websockets_and_requests(world: World) -> None:
    """A router speaks HTTP/2 to another one, which is its client's server and its server's client."""
    server = await world.server("one", StreamServer)
    back = await serving(world, Protocol.HTTP, app(server.endpoint))
    front_control = RouterControl(listen=f"unix:{world.folder}/front.sock", clock=now_s, reunion_s=0.0)
    await front_control.start()
    world.on_end(front_control.stop)
    host, _, port = back.listen.rpartition(":")
    routes = speaking(Protocol.HTTP2, app(Endpoint(address=host, port=int(port))))
    front = world.router("front", xds=front_control.address)

    async def published() -> bool:
        return bool(front_control.publish(routes).confirmed) and bool(front_control.routers())

    await eventually(published, 15, "the front serves it")
    await world.serving(front)
    for answer in await asyncio.gather(*(world.get(front, "/?sleep=0.1") for _ in range(20))):
        assert (answer.status, answer.text) == (200, "one")
    async with world.http.ws_connect(f"http://{front.listen}/", headers={"host": HOST}) as socket:
        assert await socket.receive_str() == "one"
        await socket.send_str("x" * 100_000)
        assert await socket.receive_str() == "x" * 100_000
    async with world.http.get(
        f"http://{front.listen}/?silent=0.2", headers={"host": HOST, "accept": "text/event-stream"}
    ) as events:
        assert await events.content.readline() == b"one\n"
        assert await events.content.readline() == b"one\n"
    statistics = await world.http.get(f"http://{back.stats}/stats/prometheus")
    lines = (await statistics.text()).splitlines()
    connections = next(
        line for line in lines if "downstream_cx_total" in line and "apps" in line and "#" not in line
    )
    assert int(connections.rpartition(" ")[2]) < 20, "many requests shared a connection: it is HTTP/2"


async def _true(value: bool) -> bool:
    return value
