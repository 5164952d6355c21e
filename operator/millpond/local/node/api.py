"""The few API calls that a node makes, as JSON over HTTP.

`StatusError` is the answer of the API server; `aiohttp.ClientError` and `TimeoutError` mean that it cannot be reached.
"""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
import msgspec

from millpond.local.node import kubeconfig

Json: TypeAlias = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)
_WATCH_SILENCE_S = 150  # the API server sends a bookmark about every minute


class StatusError(Exception):
    """``status`` is the HTTP code, the text the API server's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def gone(self) -> bool:
        return self.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class Api:
    """Use as ``async with Api(path_of_kubeconfig) as api``."""

    def __init__(self, kubeconfig_file: Path) -> None:
        access = kubeconfig.read(kubeconfig_file)
        self._server, self._tls = access.server, access.tls
        self._headers = access.headers
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(ssl=self._tls or False, limit=0),
            timeout=aiohttp.ClientTimeout(total=10),
            json_serialize=lambda body: msgspec.json.encode(body).decode(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._session
        await self._session.close()

    async def get(self, path: str, **params: str) -> Json:
        return await self._call("GET", path, params=params)

    async def create(self, path: str, body: Json) -> Json:
        return await self._call("POST", path, body)

    async def patch(self, path: str, body: Json, kind: str = STRATEGIC) -> Json:
        return await self._call("PATCH", path, body, kind)

    async def delete(self, path: str, body: Json) -> Json:
        return await self._call("DELETE", path, body)

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        kind: str = "application/json",
        params: Any = None,
    ) -> Json:
        assert self._session
        headers = {"Content-Type": kind} if body is not None else None
        async with self._session.request(
            method, self._server + path, json=body, headers=headers, params=params
        ) as answer:
            return _decoded(answer.status, await answer.read())

    async def watch(self, path: str, **params: str) -> AsyncIterator[Json]:
        """Events ``{"type", "object"}`` from ``resourceVersion`` on, until the server ends the watch.

        Raises StatusError also for an error inside the stream (410: list again).
        """
        assert self._session
        params |= {"watch": "true", "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_SILENCE_S)
        async with self._session.get(self._server + path, params=params, timeout=timeout) as answer:
            if answer.status != HTTPStatus.OK:
                _decoded(answer.status, await answer.read())
            async for line in _lines(answer.content):
                event: Json = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    raise StatusError(
                        event["object"].get("code", 500), event["object"].get("message", "watch failed")
                    )
                yield event


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length (aiohttp's own reader gives up on long ones)."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _decoded(status: int, body: bytes) -> Json:
    if status >= HTTPStatus.BAD_REQUEST:
        raise StatusError(status, _message(body))
    decoded: Json = msgspec.json.decode(body)
    return decoded


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body.decode(errors="replace")[:300]
