"""Answers that last: server-sent events and a WebSocket. They take no slot; a leaving server ends them at once."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, WSMsgType, web
from ledger import request_id
from settings import SettingsError, number

if TYPE_CHECKING:
    from app import Shop

MAX_STREAM_S = 86_400


class Streams:
    """`open`: how many there are now."""

    def __init__(self, shop: "Shop") -> None:
        self._shop = shop
        self.open = 0

    async def events(self, request: web.Request) -> web.StreamResponse:
        """`s` events, one a second; each says which it is of how many, so a stream that was cut can be told."""
        if not self._shop.ready:
            return self._shop.refuse()
        try:
            count = int(number("s", request.query.get("s", "30"), 0, MAX_STREAM_S))
        except SettingsError as error:
            return web.json_response({"error": str(error)}, status=400, headers=self._shop.headers)
        headers = {**self._shop.headers, "Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        with self._counted(request):
            await response.prepare(request)
            await self._send(response, count)
        return response

    async def _send(self, response: web.StreamResponse, count: int) -> None:
        began_s = time.monotonic()
        for n in range(1, count + 1):
            if await self._leaves_within(began_s + n - time.monotonic()):
                return
            event = {"n": n, "of": count, "server": self._shop.name, "edition": self._shop.settings.edition}
            await response.write(f"data: {json.dumps(event)}\n\n".encode())

    async def _leaves_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._shop.leaving.wait(), max(0.0, seconds))
        except TimeoutError:
            return False
        return True

    async def echo(self, request: web.Request) -> web.StreamResponse:
        if not self._shop.ready:
            return self._shop.refuse()
        socket = web.WebSocketResponse()
        socket.headers.update(self._shop.headers)
        with self._counted(request):
            await socket.prepare(request)
            closing = asyncio.create_task(self._close_when_leaving(socket))
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await socket.send_bytes(message.data)
            closing.cancel()
        return socket

    async def _close_when_leaving(self, socket: web.WebSocketResponse) -> None:
        await self._shop.leaving.wait()
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server is leaving")

    @contextmanager
    def _counted(self, request: web.Request) -> Iterator[None]:
        self._shop.ledger.enter(request_id(request))
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
