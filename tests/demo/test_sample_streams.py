"""The sample app's long answers: they last as long as asked for, and end at once when the server leaves."""

import asyncio
import json
from collections.abc import Callable

import aiohttp

from .conftest import RunningApp, gauges

RunApp = Callable[..., RunningApp]


async def test_a_stream_brings_an_event_a_second_and_ends_at_once_when_the_server_leaves(
    run_app: RunApp,
) -> None:
    app = run_app(EDITION="v1")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{app.url}/stream?s=1") as answer:
            assert answer.content_type == "text/event-stream"
            events = [
                json.loads(line.removeprefix(b"data: ")) async for line in answer.content if line.strip()
            ]
        assert [(e["n"], e["of"], e["edition"]) for e in events] == [(1, 1, "v1")]
        async with session.get(f"{app.url}/stream?s=600") as answer:
            assert b'"n": 1' in await answer.content.readline()
            assert (await gauges(session, app))["shop_streams"] == 1
            app.terminate()
            assert b'"n": 600' not in await asyncio.wait_for(answer.content.read(), 5)
    assert await asyncio.to_thread(app.process.wait, 10) == 0


async def test_a_websocket_sends_back_what_it_gets_and_says_when_the_server_leaves(run_app: RunApp) -> None:
    app = run_app()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{app.url}/ws") as socket:
        await socket.send_str("hello")
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_str(timeout=5) == "hello"
        assert await socket.receive_bytes(timeout=5) == b"\x00\xff"
        app.terminate()
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
    assert await asyncio.to_thread(app.process.wait, 10) == 0
