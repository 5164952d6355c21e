"""A router ends in order also for those who came by TLS and HTTP/2."""

import asyncio
from typing import Any

import pytest

from millpond.api.protocol import Protocol

from router.grpcworld import COUNT, GrpcServer, channel, echo
from router.test_certificates import TRUST, issued, put
from router.test_ending import _start
from router.test_grpc import speaking
from router.world import HOST, World, app, free_port
from waiting import eventually

pytestmark = pytest.mark.integration


async def test_another_router_takes_over_both_ports_and_no_call_is_lost(world: World) -> None:
    """Clients have one connection each, by TLS or not, on which calls never stop."""
    server = await world.server("one", GrpcServer)
    folder = put(world.folder / "c", a=issued(HOST))
    listen, secure = (f"127.0.0.1:{free_port()}" for _ in range(2))
    options = ("--accept-seconds", "2", "--reuse-port", "--listen-tls", secure, "--certificates", str(folder))
    routes = speaking(Protocol.GRPC, app(server.endpoint))
    old = await _start(world, "old", *options, listen=listen)
    await world.settled(routes)
    answers: list[bytes | BaseException] = []
    stop = asyncio.Event()

    async def client(line: Any) -> None:
        while not stop.is_set():
            answers.extend(await asyncio.gather(echo(line), return_exceptions=True))
            await asyncio.sleep(0.005)

    async def more(number: int) -> None:
        goal = len(answers) + number
        await eventually(lambda: _true(len(answers) >= goal), 20, f"{number} more answers")

    async with channel(listen) as plain, channel(secure, authorities=TRUST.bundle) as tls:
        for line in (plain, tls):
            await eventually(lambda line=line: echo(line), 10, "it answers")  # type: ignore[misc]
        clients = [asyncio.create_task(client(line)) for line in (plain, tls) for _ in range(3)]
        await more(200)
        new = await _start(world, "new", *options, listen=listen)
        await world.settled(routes, routers=2)
        long = tls.unary_stream(COUNT)(b"60", timeout=30)
        await eventually(lambda: _true(server.active > 0), 10, "a long call runs")
        old.process.terminate()
        assert [number async for number in long] == [str(n).encode() for n in range(60)]
        assert await old.code() == 0
        assert new.process.returncode is None
        await more(200)
        stop.set()
        await asyncio.gather(*clients)
    assert [answer for answer in answers if answer != b"one hello"] == []


async def _true(value: bool) -> bool:
    return value
