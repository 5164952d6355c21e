"""What servers are told about clients, limits of time for each route, and large uploads."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from millpond.router.config import AppRoutes, EditionRoute, Match, Preview
from millpond.router.process.envoy import RouterProcess

from router.test_streams import EVENTS, StreamServer
from router.world import HOST, Server, World, app, editions
from waiting import eventually

pytestmark = pytest.mark.integration
MB = 1 << 20


class Mirror(Server):
    """Answers the headers that it got."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({name.lower(): value for name, value in request.headers.items()})


class Sink(Server):
    """Answers how many bytes it got; begins to take them only when it may."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.may = asyncio.Event()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.active += 1
        await self.may.wait()
        size = 0
        async for piece in request.content.iter_chunked(1 << 16):
            size += len(piece)
        return web.Response(text=str(size))


async def told(world: World, sent: Mapping[str, str], *, hops: int = 0) -> dict[str, str]:
    """What a server gets of the headers that a client sends."""
    server = await world.server("mirror", Mirror)
    router = world.router(trusted_hops=hops)
    await world.settled(app(server.endpoint))
    await world.serving(router)
    found: dict[str, str] = json.loads((await world.get(router, headers=sent)).text)
    return found


FORGED = {
    "x-forwarded-for": "192.0.2.9",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "evil.test",
    "x-forwarded-port": "443",
    "x-forwarded-prefix": "/evil",
    "x-real-ip": "192.0.2.9",
    "forwarded": "for=192.0.2.9",
    "x-request-id": "chosen",
}


async def test_without_trusted_hops_nobody_is_believed_about_himself(world: World) -> None:
    found = await told(world, FORGED)
    assert found["host"] == HOST
    ipaddress.ip_address(found["x-forwarded-for"])  # one: that of the connection
    assert found["x-forwarded-for"] != "192.0.2.9"
    assert found["x-forwarded-proto"] == "http"
    assert found["x-request-id"] != "chosen"
    gone = FORGED.keys() - {"x-forwarded-for", "x-forwarded-proto", "x-request-id"}
    assert gone & found.keys() == set()


async def test_with_one_trusted_hop_the_proxy_in_front_is_believed_and_nobody_before_it(world: World) -> None:
    found = await told(world, {**FORGED, "x-forwarded-for": "192.0.2.9, 203.0.113.7"}, hops=1)
    assert found["x-forwarded-for"].startswith("192.0.2.9, 203.0.113.7,")
    assert found["x-envoy-external-address"] == "203.0.113.7", "what the proxy wrote, not what its client did"
    assert {name: found[name] for name in FORGED.keys() - {"x-forwarded-for"}} == {
        name: value for name, value in FORGED.items() if name != "x-forwarded-for"
    }


@pytest.mark.parametrize("hops", [0, 1])
async def test_no_client_changes_timeouts_and_retries(world: World, hops: int) -> None:
    server = await world.server("one")
    router = world.router(trusted_hops=hops)
    await world.settled(app(server.endpoint))
    await world.serving(router)
    headers = {"x-envoy-upstream-rq-timeout-ms": "1", "x-forwarded-for": "10.0.0.1"}
    assert (await world.get(router, "/?sleep=0.3", headers=headers)).status == 200


async def test_old_clients_with_http_1_0_are_answered(world: World) -> None:
    server = await world.server("one")
    router = await serving(world, app(server.endpoint))
    host, _, port = router.listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert b" 200 OK\r\n" in answer
    assert answer.endswith(b"\r\n\r\none")


# -- limits of time


async def serving(world: World, routes: Mapping[str, AppRoutes]) -> RouterProcess:
    router = world.router()
    await world.settled(routes)
    await world.serving(router)
    return router


def limited(routes: Mapping[str, AppRoutes], *matches: Match) -> dict[str, AppRoutes]:
    return {key: replace(found, matches=matches) for key, found in routes.items()}


async def test_each_path_of_a_host_has_its_own_limit_for_a_request(world: World) -> None:
    server = await world.server("one", StreamServer)
    preview = Preview(header=None, hosts=("preview.test",))
    two = EditionRoute(name="v2", endpoints=(server.endpoint,), weight=0, preview=preview)
    one = EditionRoute(name="v1", endpoints=(server.endpoint,))
    router = await serving(world, limited(
        editions(one, two),
        Match(host=HOST),
        Match(host=HOST, path_prefix="/quick", timeout_s=0.3),
        Match(host=HOST, path_prefix="/quick/slow", timeout_s=20),
    ))  # fmt: skip
    for host in (HOST, "preview.test"):
        paths = ("/", "/quickly", "/quick/slow/x", "/quick", "/quick/x")
        asked = [world.get(router, f"{path}?sleep=1", host=host) for path in paths]
        assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 200, 200, 504, 504]
    url, headers = f"http://{router.listen}/quick?silent=1", {"host": HOST, **EVENTS}
    async with world.http.get(url, headers=headers) as events:
        assert await events.content.read() == b"one\none\n", "a stream has no such limit"
    found = await world.collected(
        lambda c: "shop/cart/v1" in c.editions and c.editions["shop/cart/v1"].errors > 0,
        "it counts as an error",
    )
    assert found


async def test_each_path_has_its_own_limit_of_silence_also_for_streams(world: World) -> None:
    server = await world.server("one", StreamServer)
    router = await serving(world, limited(
        app(server.endpoint), Match(host=HOST), Match(host=HOST, path_prefix="/idle", idle_timeout_s=0.5)
    ))  # fmt: skip
    asked = [world.get(router, f"{path}?sleep=2") for path in ("/", "/idle")]
    assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 504]
    url, headers = f"http://{router.listen}/idle?silent=20", {"host": HOST, **EVENTS}
    async with world.http.get(url, headers=headers) as events:
        assert await events.content.readline() == b"one\n"
        with pytest.raises(aiohttp.ClientError):
            await events.content.readline()


# -- uploads


async def test_a_slow_upload_lasts_longer_than_its_pauses_may_and_longer_than_an_answer_may(
    world: World,
) -> None:
    server = await world.server("sink", Sink)
    server.may.set()
    match = Match(host=HOST, timeout_s=0.5, idle_timeout_s=1.5)
    router = await serving(world, limited(app(server.endpoint), match))

    async def slowly(pause_s: float, pieces: int) -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"x" * 1000
            await asyncio.sleep(pause_s)

    async def send(pause_s: float, pieces: int) -> tuple[int, str]:
        body = slowly(pause_s, pieces)
        async with world.http.post(f"http://{router.listen}/", headers={"host": HOST}, data=body) as answer:
            return answer.status, await answer.text()

    assert await send(0.3, 7) == (200, "7000")
    assert (await send(4, 2))[0] == 408


@pytest.mark.parametrize("length", [True, False], ids=["content-length", "chunked"])
async def test_a_large_upload_is_passed_on_and_not_kept(world: World, length: bool) -> None:
    """While the server takes nothing, nothing more is taken from the client either."""
    server = await world.server("sink", Sink)
    router = await serving(world, app(server.endpoint))
    before, given = _peak(router), 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(200):
            given += MB
            yield bytes(MB)

    headers = {"host": HOST, **({"content-length": str(200 * MB)} if length else {})}
    sending = asyncio.create_task(_send(world, router, headers, body()))
    await eventually(lambda: _true(server.active > 0 and given > 0), 10, "it has begun")
    seen = -1

    async def stalled() -> bool:
        nonlocal seen
        before_s, seen = seen, given
        await asyncio.sleep(0.3)
        return before_s == seen == given

    await eventually(stalled, 20, "the client has to wait")
    assert given < 50 * MB
    server.may.set()
    assert await sending == (200, str(200 * MB))
    assert _peak(router) - before < 40 * MB


async def _send(
    world: World, router: RouterProcess, headers: Mapping[str, str], body: AsyncIterator[bytes]
) -> tuple[int, str]:
    async with world.http.post(f"http://{router.listen}/", headers=headers, data=body) as answer:
        return answer.status, await answer.text()


def _peak(router: RouterProcess) -> int:
    """The most memory that the router has had so far, in bytes."""
    status = Path(f"/proc/{router.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def _true(value: bool) -> bool:
    return value
