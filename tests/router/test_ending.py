"""The command `millpond router`, and how it ends: no request is cut, whoever takes over."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import psutil
import pytest

from router.world import HOST, Server, World, app, free_port
from waiting import eventually

pytestmark = pytest.mark.integration


@dataclass
class Command:
    """A router as its command starts it."""

    process: asyncio.subprocess.Process
    listen: str
    stats: str

    async def code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 20)


@dataclass
class Clients:
    """Keep-alive clients of a list of routers; where one refuses the connection, the next one is tried."""

    addresses: Sequence[str]
    answers: list[object] = field(default_factory=list)
    stopped: bool = False

    async def run(self, number: int) -> None:
        await asyncio.gather(*(self._client(n) for n in range(number)))

    async def _client(self, number: int) -> None:
        headers = {"host": HOST}
        async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:
            turn = number
            while not self.stopped:
                turn += 1
                self.answers.append(await self._one(session, turn, "/?sleep=0.5" if turn % 50 == 0 else "/"))

    async def _one(self, session: aiohttp.ClientSession, turn: int, path: str) -> object:
        for address in (self.addresses[(turn + n) % len(self.addresses)] for n in range(len(self.addresses))):
            try:
                async with session.post(f"http://{address}{path}", data=b"x" * 500) as response:
                    await response.read()
                    return response.status
            except aiohttp.ClientConnectorError:
                continue
            except aiohttp.ClientError as error:
                return error
        return "no router"

    async def until_more(self, number: int) -> None:
        goal = len(self.answers) + number
        await eventually(lambda: _true(len(self.answers) >= goal), 20, f"{number} more answers")


async def test_the_command_becomes_a_router_and_ends_when_nothing_runs(world: World) -> None:
    server = await world.server("one")
    router = await _start(world, "cli", "--accept-seconds", "1")
    await world.settled(app(server.endpoint))
    assert [state.id for state in world.control.routers()] == ["cli"]
    await eventually(lambda: _get(world, router.listen), 5, "it answers")
    start_s = time.monotonic()
    router.process.terminate()
    assert await router.code() == 0
    assert time.monotonic() - start_s < 8


async def test_one_of_two_routers_in_a_list_ends_without_a_failed_request(world: World) -> None:
    server = await world.server("one")
    routers = [await _start(world, name, "--accept-seconds", "1") for name in ("r1", "r2")]
    await _serve(world, server, routers)
    clients = Clients([router.listen for router in routers])
    load = asyncio.create_task(clients.run(8))
    await clients.until_more(100)
    slow = asyncio.create_task(_get(world, routers[0].listen, "/?sleep=4"))
    await eventually(lambda: _true(server.active > 0), 5, "a slow request runs")
    routers[0].process.terminate()
    assert await routers[0].code() == 0
    assert slow.done(), "it waited for the slow request"
    await clients.until_more(100)
    clients.stopped = True
    await load
    assert {str(answer) for answer in clients.answers} == {"200"}
    assert await slow == 200
    assert server.requests == len(clients.answers) + 3  # the slow one and two that waited for the routers


async def test_a_new_router_on_the_same_port_takes_over_without_a_failed_request(world: World) -> None:
    server = await world.server("one")
    listen = f"127.0.0.1:{free_port()}"
    options = ("--accept-seconds", "2", "--reuse-port")
    old = await _start(world, "old", *options, listen=listen)
    await _serve(world, server, [old])
    clients = Clients([listen])
    load = asyncio.create_task(clients.run(8))
    await clients.until_more(100)
    new = await _start(world, "new", *options, listen=listen)
    await world.settled(app(server.endpoint), routers=2)
    slow = [asyncio.create_task(_get(world, listen, "/?sleep=3")) for _ in range(6)]
    await eventually(lambda: _true(server.active >= 6), 5, "slow requests run")
    old.process.terminate()
    assert await old.code() == 0
    assert new.process.returncode is None
    await clients.until_more(100)
    clients.stopped = True
    await load
    assert {str(answer) for answer in clients.answers} == {"200"}
    assert set(await asyncio.gather(*slow)) == {200}
    assert server.requests == len(clients.answers) + 7


async def test_while_it_drains_the_operator_still_reads_what_runs(world: World) -> None:
    server = await world.server("one")
    router = await _start(world, "r1", "--accept-seconds", "0")
    await _serve(world, server, [router])
    slow = asyncio.create_task(_get(world, router.listen, "/?sleep=3"))
    await eventually(lambda: _true(server.active > 0), 5, "a slow request runs")
    router.process.terminate()
    await eventually(lambda: _refused(router.listen), 3, "it takes no connection any more")
    found = await world.control.ask([server.address])
    assert found is not None
    assert found[server.address].active == 1
    assert await slow == 200
    assert await router.code() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(world: World, second: signal.Signals) -> None:
    server = await world.server("one")
    router = await _start(world, "r1")
    await _serve(world, server, [router])
    slow = asyncio.create_task(_get(world, router.listen, "/?sleep=30"))
    await eventually(lambda: _true(server.active > 0), 5, "a slow request runs")
    router.process.terminate()
    await eventually(lambda: _closes(world, router.listen), 3, "it drains")
    router.process.send_signal(second)
    start_s = time.monotonic()
    await router.code()
    assert time.monotonic() - start_s < 3
    with pytest.raises(aiohttp.ClientError):
        await slow


async def test_after_the_deadline_it_ends_whatever_runs(world: World) -> None:
    server = await world.server("one")
    router = await _start(world, "r1", "--drain-seconds", "1")
    await _serve(world, server, [router])
    slow = asyncio.create_task(_get(world, router.listen, "/?sleep=30"))
    await eventually(lambda: _true(server.active > 0), 5, "a slow request runs")
    start_s = time.monotonic()
    router.process.terminate()
    assert await router.code() == 0
    assert 1 <= time.monotonic() - start_s < 5
    with pytest.raises(aiohttp.ClientError):
        await slow


async def test_envoy_does_not_outlive_its_command(world: World) -> None:
    router = await _start(world, "r1")
    await world.settled(app())
    (envoy,) = psutil.Process(router.process.pid).children()
    assert envoy.name() == "envoy"
    router.process.kill()
    await router.code()
    await eventually(lambda: _true(not envoy.is_running()), 5, "Envoy has ended")


async def test_a_router_without_any_configuration_ends_too(world: World) -> None:
    router = await _start(world, "r1", "--accept-seconds", "0")
    await eventually(lambda: _true(bool(psutil.Process(router.process.pid).children())), 10, "Envoy runs")
    router.process.terminate()
    await router.code()


async def _start(world: World, name: str, *options: str, listen: str | None = None) -> Command:
    listen, stats = listen or f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    given = ["--name", name, "--xds", world.xds, "--listen", listen, "--stats", stats, "--concurrency", "1"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "millpond",
        "router",
        *given,
        *options,
        env={**os.environ, "TMPDIR": str(world.folder)},
    )

    async def end() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    world.on_end(end)
    return Command(process, listen, stats)


async def _serve(world: World, server: Server, routers: Sequence[Command]) -> None:
    """Until each has answered one request."""
    await world.settled(app(server.endpoint), routers=len(routers))
    for router in routers:
        assert await eventually(lambda router=router: _get(world, router.listen), 5, "it answers") == 200  # type: ignore[misc]


async def _get(world: World, address: str, path: str = "/") -> int:
    async with world.http.get(f"http://{address}{path}", headers={"host": HOST}) as response:
        return response.status


async def _closes(world: World, address: str) -> bool:
    async with world.http.get(f"http://{address}/", headers={"host": HOST}) as response:
        return response.headers.get("connection") == "close"


async def _refused(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def _true(value: bool) -> bool:
    return value
