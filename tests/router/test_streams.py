"""Long-lived streams: they go through, stay, are counted apart from requests, and are not cut for being silent."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Preview, cluster_name
from millpond.router.process import envoy as process
from millpond.router.process.envoy import RouterProcess
from millpond.router.telemetry.collector import Collected, EndpointLoad

from router.world import HOST, Server, World, app, editions, free_port

pytestmark = pytest.mark.integration
EDITION = cluster_name("shop/cart", "v1")
COOKIE = "cart-session"
EVENTS = {"accept": "text/event-stream"}
GRPC = {"content-type": "application/grpc-web+proto"}


class StreamServer(Server):
    """Says its name at once; then echoes (WebSocket), or is silent until `?silent=S` is over and says it again."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._echo(request)
        if "silent" not in request.query:
            return await super()._answer(request)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"{self.name}\n".encode())
        await asyncio.sleep(float(request.query["silent"]))
        await response.write(f"{self.name}\n".encode())
        return response

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(self.name)
        async for message in socket:
            await socket.send_str(message.data)
        return socket


async def test_a_websocket_goes_both_ways_and_is_bound_like_any_session(world: World) -> None:
    one, two = await _servers(world)
    router = await _serving(world, app(one.endpoint, two.endpoint, cookie=COOKIE))
    for _ in range(6):
        async with _websocket(world, router) as socket:
            name = await socket.receive_str()
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
            cookies = _set_cookies(socket)
        assert cookies.keys() == {COOKIE, "millpond-edition"}
        for _ in range(3):
            assert (await world.get(router, cookies=cookies)).text == name
            async with _websocket(world, router, cookies=cookies) as again:
                assert await again.receive_str() == name
                assert not _set_cookies(again)


async def test_streams_are_counted_apart_and_leave_response_times_alone(world: World) -> None:
    server = await world.server("one", StreamServer)
    router = await _serving(world, app(server.endpoint))
    await world.collected(lambda c: c.complete, "the first report")
    async with AsyncExitStack() as streams:
        for _ in range(3):
            await streams.enter_async_context(_websocket(world, router))
        for headers in (EVENTS, GRPC, {"accept": "text/event-stream, text/html"}):
            await streams.enter_async_context(_silent(world, router, headers))
        running = asyncio.create_task(world.get(router, "/?sleep=2"))
        found = await world.collected(
            lambda c: _load(c, server).streams == 6 and _load(c, server).active == 1,
            "six streams, one request",
        )
        assert found[-1].editions[EDITION].in_flight == 1
        assert (await running).status == 200
        found += await world.collected(lambda c: _load(c, server).active == 0, "the request has ended")
        assert _load(found[-1], server).streams == 6
    found += await world.collected(lambda c: _load(c, server).streams == 0, "the streams have ended")
    await world.get(router)
    found += await world.collected(lambda c: _load(c, server).total == 8, "the last request")
    seconds = [c.editions[EDITION] for c in found if c.complete]
    assert sum(second.streams for second in seconds) == 6
    assert sum(second.requests for second in seconds) == 2
    assert sum(sum(second.histogram) for second in seconds) == 2


async def test_a_stream_that_no_server_takes_is_an_error_of_streams(world: World) -> None:
    server = await world.server("one", StreamServer)
    router = await _serving(world, app(server.draining))
    assert (await world.get(router, headers=EVENTS)).status == 503
    found = await world.collected(
        lambda c: EDITION in c.editions and c.editions[EDITION].stream_errors == 1, "it is reported"
    )
    assert sum(c.editions[EDITION].errors + c.editions[EDITION].requests for c in found if c.complete) == 0


async def test_streams_outlast_the_drain_of_their_server_and_new_ones_go_elsewhere(world: World) -> None:
    one, two = await _servers(world)
    router = await _serving(world, app(one.endpoint))
    async with _websocket(world, router) as socket, _silent(world, router, EVENTS, silent_s=2) as events:
        assert await socket.receive_str() == "one"
        await world.settled(app(one.draining, two.endpoint))
        for _ in range(10):
            async with _websocket(world, router) as new:
                assert await new.receive_str() == "two"
        assert await events.content.readline() == b"one\n"
        assert await events.content.readline() == b"", "it has ended in order"
        await socket.send_str("still there?")
        assert await socket.receive_str() == "still there?"


async def test_streams_go_where_the_preview_the_pin_and_the_weights_say(world: World) -> None:
    one, two = await _servers(world)
    preview = Preview(header=("x-canary", "yes"), hosts=("preview.test",))
    router = await _serving(world, editions(
        EditionRoute(name="v1", endpoints=(one.endpoint,)),
        EditionRoute(name="v2", endpoints=(two.endpoint,), weight=0, preview=preview),
    ))  # fmt: skip
    asked: list[tuple[Mapping[str, str], str]] = [
        ({}, "one"),
        ({"x-canary": "yes"}, "two"),
        ({"host": "preview.test"}, "two"),
    ]
    for headers, name in asked:
        async with _websocket(world, router, headers=headers) as socket:
            assert await socket.receive_str() == name
        async with _silent(world, router, {**EVENTS, **headers}, line=f"{name}\n"):
            pass
    await world.settled(editions(
        EditionRoute(name="v1", endpoints=(one.endpoint,), weight=1),
        EditionRoute(name="v2", endpoints=(two.endpoint,), weight=1),
    ))  # fmt: skip
    names = set()
    for _ in range(20):
        async with _websocket(world, router) as socket:
            name = await socket.receive_str()
            cookies = _set_cookies(socket)
        async with _websocket(world, router, cookies=cookies) as again:
            assert await again.receive_str() == name
        names.add(name)
    assert names == {"one", "two"}


async def test_a_server_that_is_gone_is_passed_over(world: World) -> None:
    server = await world.server("one", StreamServer)
    gone = Endpoint(address="127.0.0.1", port=free_port())
    router = await _serving(world, app(gone, server.endpoint))
    for _ in range(10):
        async with _websocket(world, router) as socket:
            assert await socket.receive_str() == "one"


async def test_silence_beyond_the_limit_for_requests_ends_requests_but_no_streams(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real limits, five minutes and an hour, are in the same places."""
    monkeypatch.setattr(process, "bootstrap", _impatient)
    server = await world.server("one", StreamServer)
    router = await _serving(world, app(server.endpoint))
    async with (
        _websocket(world, router) as socket,
        _silent(world, router, EVENTS, silent_s=2.5) as events,
        _silent(world, router, GRPC, silent_s=2.5) as grpc,
    ):
        assert await socket.receive_str() == "one"
        assert (await world.get(router, "/?sleep=30")).status == 504
        for stream in (events, grpc):
            assert await stream.content.readline() == b"one\n"
            assert await stream.content.readline() == b""
        await socket.send_str("after silence")
        assert await socket.receive_str() == "after silence"


def _impatient(**arguments: Any) -> Any:
    made = _BOOTSTRAP(**arguments)
    apps = next(found for found in made["static_resources"]["listeners"] if found["name"] == "apps")
    manager = apps["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["stream_idle_timeout"] == "300s"
    manager["stream_idle_timeout"] = "1s"
    return made


_BOOTSTRAP = process.bootstrap


async def _servers(world: World) -> tuple[StreamServer, StreamServer]:
    return await world.server("one", StreamServer), await world.server("two", StreamServer)


async def _serving(world: World, routes: Mapping[str, AppRoutes]) -> RouterProcess:
    router = world.router()
    await world.settled(routes)
    await world.serving(router)
    return router


@asynccontextmanager
async def _websocket(
    world: World,
    router: RouterProcess,
    *,
    cookies: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    sent = {"host": HOST, **(headers or {})}
    if cookies:
        sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    async with world.http.ws_connect(f"http://{router.listen}/", headers=sent) as socket:
        yield socket


@asynccontextmanager
async def _silent(
    world: World,
    router: RouterProcess,
    headers: Mapping[str, str],
    *,
    silent_s: float = 60,
    line: str = "one\n",
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A response whose first line has come and whose next one takes its time."""
    url = f"http://{router.listen}/?silent={silent_s}"
    async with world.http.get(url, headers={"host": HOST, **headers}) as response:
        assert await response.content.readline() == line.encode()
        yield response
        if not response.content.at_eof():
            response.close()


def _set_cookies(socket: aiohttp.ClientWebSocketResponse) -> dict[str, str]:
    return {name: morsel.value for name, morsel in socket._response.cookies.items()}


def _load(collected: Collected, server: Server) -> EndpointLoad:
    return collected.endpoints[server.address]
