"""LIST and WATCH against a small HTTP server that misbehaves as an API server may."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from millpond.local.node.api import Api
from millpond.local.node.watching import watch_pods


class Server:
    """Each watch gets the next of ``scripts``: lines to send, after which the connection ends."""

    def __init__(self, *scripts: list[Any]) -> None:
        self.scripts, self.lists, self.versions = list(scripts), 0, list[str]()

    async def pods(self, request: web.Request) -> web.StreamResponse:
        assert request.query["fieldSelector"] == "spec.nodeName=n"
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response({"items": [], "metadata": {"resourceVersion": str(self.lists * 100)}})
        self.versions.append(request.query["resourceVersion"])
        if not self.scripts:
            await asyncio.sleep(3600)
        answer = web.StreamResponse()
        await answer.prepare(request)
        for event in self.scripts.pop(0):
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Any]:
    runners = []

    async def serve(server: Server) -> Path:
        app = web.Application()
        app.router.add_get("/api/v1/pods", server.pods)
        runners.append(web.AppRunner(app, handler_cancellation=True))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        port = runners[-1].addresses[0][1]
        config = tmp_path / "config"
        config.write_text(
            json.dumps(
                {
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                    "users": [{"name": "u", "user": {}}],
                }
            )
        )
        return config

    yield serve
    for runner in runners:
        await runner.cleanup()


def _event(kind: str, version: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": "p", "resourceVersion": str(version)}, **more}}


async def _follow(config: Path, until: int) -> list[str]:
    """What is seen: L for a list, else the first letter of an event; the first ``until`` of them."""
    seen: list[str] = []
    enough = asyncio.Event()

    def note(what: str) -> None:
        seen.append(what)
        if len(seen) >= until:
            enough.set()

    async with Api(config) as api, asyncio.timeout(20):
        watching = asyncio.create_task(
            watch_pods(api, "n", listed=lambda _: note("L"), seen=lambda kind, _: note(kind[0]))
        )
        await enough.wait()
        watching.cancel()
    return seen


async def test_a_watch_that_ends_goes_on_from_its_last_version(serve: Any) -> None:
    server = Server([_event("ADDED", 101), _event("BOOKMARK", 150)], [_event("DELETED", 151)])
    assert await _follow(await serve(server), 3) == ["L", "A", "D"]
    assert server.versions[:2] == ["100", "150"]


async def test_a_version_that_is_too_old_means_listing_again(serve: Any) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
    server = Server([_event("ADDED", 101), gone], [_event("MODIFIED", 201)])
    assert await _follow(await serve(server), 4) == ["L", "A", "L", "M"]


async def test_pods_of_any_size_pass(serve: Any) -> None:
    server = Server([_event("ADDED", 101, spec={"text": "x" * 1_000_000}), _event("MODIFIED", 102)])
    assert await _follow(await serve(server), 3) == ["L", "A", "M"]
