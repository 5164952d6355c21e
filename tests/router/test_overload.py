"""Hung, flooded, held up: a router's probes fail only when it is dead, and clients can't take more than their share."""

import asyncio
import ctypes
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from millpond.router.config import Endpoint
from millpond.router.envoy.limits import Limits
from millpond.router.process.envoy import RouterProcess

from router.test_edge import Sink
from router.world import HOST, Server, World, app, free_port
from waiting import eventually

pytestmark = pytest.mark.integration
MB = 1 << 20
PROBES = ("/healthz", "/readyz")


class Flood(Server):
    """Answers its name, or `?all` that it can send."""

    sent = 0

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._serve, self.host, self.port)

    async def stop(self) -> None:
        self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                pieces = 128 if b"?all" in head else 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (pieces << 16))
                for _ in range(pieces):
                    writer.write(bytes(1 << 16))
                    await writer.drain()
                    self.sent += 1 << 16
        writer.close()


async def serving(world: World, server: Server, limits: Limits | None = None) -> RouterProcess:
    router = world.router(limits=limits or Limits())
    await world.settled(app(server.endpoint))
    await world.serving(router)
    return router


async def probed(world: World, router: RouterProcess, path: str, method: str = "GET") -> int | None:
    """The status that a probe gets within a second."""
    try:
        async with world.http.request(
            method, f"http://{router.stats}{path}", timeout=aiohttp.ClientTimeout(1)
        ) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return None


def connects(address: str) -> bool:
    """What a TCP probe sees."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=1):
        return True


# -- hung


async def test_probes_are_answered_by_get_of_exactly_their_paths(world: World) -> None:
    router = await serving(world, await world.server("one"))
    assert [await probed(world, router, path) for path in PROBES] == [200, 200]
    others = [
        ("/healthz", "POST"),
        ("/readyz", "POST"),
        ("/readyz/x", "GET"),
        ("/ready", "GET"),
        ("/", "GET"),
    ]
    assert {await probed(world, router, path, method) for path, method in others} == {404}


@pytest.mark.parametrize(("frozen", "found"), [
    pytest.param("wrk:worker_0", {"/healthz": None, "/readyz": None}, id="a worker that hangs"),
    pytest.param("envoy", {"/healthz": 200, "/readyz": 504}, id="a main thread that hangs"),
])  # fmt: skip
async def test_a_hung_thread_fails_the_probe_that_needs_it_where_a_tcp_probe_passes(
    world: World, frozen: str, found: dict[str, int | None]
) -> None:
    router = await serving(world, await world.server("one"))
    with _frozen(router, frozen):
        assert connects(router.stats)
        assert connects(router.listen)
        statuses = {path: await _status(world, router, path) for path in PROBES}
        assert statuses == found
    await eventually(lambda: _all_well(world, router), 5, "it goes on")


async def _status(world: World, router: RouterProcess, path: str) -> int | None:
    try:
        async with world.http.get(f"http://{router.stats}{path}", timeout=aiohttp.ClientTimeout(4)) as answer:
            return answer.status
    except TimeoutError:
        return None


async def _all_well(world: World, router: RouterProcess) -> bool:
    return [await probed(world, router, path) for path in PROBES] == [200, 200]


@contextmanager
def _frozen(router: RouterProcess, thread: str) -> Iterator[None]:
    """That thread alone is stopped, as by a debugger."""
    seize, interrupt, detach, all_threads = 0x4206, 0x4207, 17, 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    tasks = Path(f"/proc/{router.pid}/task")
    tid = next(int(t.name) for t in tasks.iterdir() if (t / "comm").read_text().strip() == thread)
    if libc.ptrace(seize, tid, None, None) != 0:
        pytest.skip("this machine lets nobody stop a thread of a child")
    libc.ptrace(interrupt, tid, None, None)
    os.waitpid(tid, all_threads)
    try:
        yield
    finally:
        libc.ptrace(detach, tid, None, None)


# -- flooded


async def test_at_the_limit_of_connections_who_is_in_goes_on_and_probes_and_statistics_answer(
    world: World,
) -> None:
    server = await world.server("one")
    router = await serving(world, server, Limits(connections=20))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as inside:

        async def asked() -> str:
            async with inside.get(f"http://{router.listen}/", headers={"host": HOST}) as answer:
                return await answer.text()

        assert await asked() == "one"
        with _connections(router, 60) as flood:
            await eventually(lambda: _true(sum(map(_closed, flood)) >= 41), 5, "those beyond are closed")
            assert sum(map(_closed, flood)) == 41
            for _ in range(20):
                assert await asked() == "one"
                assert await _all_well(world, router)
            assert await probed(world, router, "/stats/prometheus") == 200
            assert await world.control.ask([server.address]) is not None
        await eventually(lambda: _answers(world, router), 5, "others come in again")


async def _answers(world: World, router: RouterProcess) -> bool:
    return (await world.get(router)).status == 200


# -- held up


async def test_clients_that_read_nothing_cost_little_memory_and_hold_up_nobody(world: World) -> None:
    server = await world.server("flood", Flood)
    router = await serving(world, server)
    await world.many(50, lambda: world.get(router))
    before = _memory(router)
    with _connections(router, 200, send=_request("/?all")):
        await _at_rest(lambda: server.sent)
        assert _memory(router) - before < 200 * 200 * 1024
        assert (await world.get(router)).status == 200


async def test_uploads_that_no_server_takes_cost_little_memory(world: World) -> None:
    """While one might still be sent to another server."""
    server = await world.server("sink", Sink)
    router = await serving(world, server)
    before = _memory(router)
    head = f"POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {64 * MB}\r\n\r\n".encode()
    with _connections(router, 200, send=head) as clients:
        await eventually(lambda: _true(server.active == 200), 10, "all have reached the server")
        for _ in range(64):
            for client in clients:
                _sent(client, bytes(1 << 16))
            await asyncio.sleep(0)
        await _at_rest(lambda: _memory(router))
        assert _memory(router) - before < 200 * 300 * 1024


async def test_memory_has_a_limit_however_many_clients_come_and_probes_still_pass(world: World) -> None:
    """Without one, so many would take 150 MB and more."""
    server = await world.server("flood", Flood)
    router = await serving(world, server, Limits(heap_bytes=64 * MB))
    before = _memory(router)
    with ExitStack() as clients:
        for number in range(15):
            clients.enter_context(_connections(router, 100, send=_request("/?all")))
            await _at_rest(lambda: server.sent, pause_s=0.3)
            assert await _all_well(world, router), f"after {100 * (number + 1)}"
        assert _memory(router) - before < 90 * MB
        assert await probed(world, router, "/stats/prometheus") == 200
    await eventually(lambda: _answers(world, router), 15, "it serves again once they are gone")


@pytest.mark.parametrize("sent", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"GET / HTTP/1.1\r\nhost: shop.test\r\nx-slow: ", id="half of a request's headers"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="only the beginning of HTTP/2"),
])  # fmt: skip
async def test_who_sends_nothing_more_is_cut_off(world: World, sent: bytes) -> None:
    router = await serving(world, await world.server("one"), Limits(headers_s=1, idle_s=1))
    with _connections(router, 5, send=sent) as slow:
        await eventually(lambda: _true(all(map(_closed, slow))), 8, "they are cut off")


async def test_headers_that_trickle_are_cut_off_and_endless_ones_refused(world: World) -> None:
    router = await serving(world, await world.server("one"), Limits(headers_s=1))
    with _connections(router, 1, send=b"GET / HTTP/1.1\r\nhost: shop.test\r\n") as (slow,):

        async def trickle() -> bool:
            with ExitStack() as ignored:
                ignored.callback(_closed, slow)
                return _closed(slow) or not _sent(slow, b"x: y\r\n")

        await eventually(trickle, 5, "it is cut off")
    assert (await world.get(router, headers={"x-long": "x" * 70_000})).status == 431


async def test_an_upload_that_meets_a_dead_server_is_sent_to_another_one(world: World) -> None:
    """As far as it has come: at most 64 KiB are kept."""
    server = await world.server("one")
    gone = Endpoint(address="127.0.0.1", port=free_port())
    router = world.router()
    await world.settled(app(gone, server.endpoint))
    await world.serving(router)
    for _ in range(10):
        url, headers = f"http://{router.listen}/", {"host": HOST}
        async with world.http.post(url, headers=headers, data=_pieces(14, 1 << 12)) as answer:
            assert (answer.status, await answer.text()) == (200, "one")


async def _pieces(number: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield bytes(size)


@contextmanager
def _connections(router: RouterProcess, number: int, send: bytes = b"") -> Iterator[Sequence[socket.socket]]:
    host, _, port = router.listen.rpartition(":")
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            client.connect_ex((host, int(port)))
            found.append(client)
        if send:
            for client in found:
                client.setblocking(True)
                client.sendall(send)
                client.setblocking(False)
        yield found


def _closed(client: socket.socket) -> bool:
    """By the router; what it has answered before that is thrown away."""
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _sent(client: socket.socket, data: bytes) -> bool:
    try:
        return client.send(data) > 0
    except OSError:
        return False


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()


async def _at_rest(level: Callable[[], int], pause_s: float = 0.5) -> None:
    """Until it is the same after a pause."""
    seen = -1

    async def same() -> bool:
        nonlocal seen
        before, seen = seen, level()
        await asyncio.sleep(pause_s)
        return before == seen > 0

    await eventually(same, 30, "it does not change any more")


def _memory(router: RouterProcess) -> int:
    """What the router has now, in bytes."""
    status = Path(f"/proc/{router.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def _true(value: bool) -> bool:
    return value
