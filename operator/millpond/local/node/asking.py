"""One question to a container: over HTTP, by a TCP connection, or with a command beside it."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp

from millpond.local.node.api import Json

_SHOWN_BYTES = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """``message`` says what went wrong, or is empty."""

    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The container that is asked; ``env`` and ``cwd`` are those of its process."""

    pod_ip: str
    ports: Mapping[str, int]
    env: Mapping[str, str]
    cwd: Path


class Asker:
    """Asks on behalf of all containers of a node, each time over a new connection; ``close`` it at the end."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(ssl=False, limit=0, force_close=True)
        self._http = aiohttp.ClientSession(connector=connector, headers={"User-Agent": "kube-probe/1.37"})

    async def close(self) -> None:
        await self._http.close()

    async def ask(self, action: Json, target: Target, timeout_s: float | None) -> Answer:
        """``action``: a probe's or lifecycle hook's httpGet, tcpSocket, exec or sleep."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._ask(action, target)
        except TimeoutError:
            return Answer(False, f"no answer within {timeout_s:g} s")
        except aiohttp.ClientConnectorError as e:
            return Answer(False, f"connection to {e.host}:{e.port} failed: {e.os_error.strerror}")
        except (aiohttp.ClientError, OSError, ValueError) as e:
            return Answer(False, str(e) or type(e).__name__)

    async def _ask(self, action: Json, target: Target) -> Answer:
        if "httpGet" in action:
            return await self._http_get(action["httpGet"], target)
        if "tcpSocket" in action:
            return await _connect(action["tcpSocket"], target)
        if "exec" in action:
            return await _execute(action["exec"]["command"], target)
        await asyncio.sleep(action["sleep"]["seconds"])
        return Answer(True)

    async def _http_get(self, get: Json, target: Target) -> Answer:
        host = get.get("host") or target.pod_ip
        scheme = get.get("scheme", "HTTP").lower()
        path = "/" + get.get("path", "/").lstrip("/")
        url = f"{scheme}://{host}:{port(get['port'], target.ports)}{path}"
        headers = {h["name"]: h["value"] for h in get.get("httpHeaders", ())}
        async with self._http.get(url, headers=headers) as answer:
            if HTTPStatus.OK <= answer.status < HTTPStatus.BAD_REQUEST:
                return Answer(True)
            return Answer(False, f"HTTP probe failed with statuscode: {answer.status}")


def port(named: int | str, ports: Mapping[str, int]) -> int:
    """Raises ValueError for a name that the container does not declare."""
    if isinstance(named, int) or named.isdigit():
        return int(named)
    if named not in ports:
        raise ValueError(
            f"port {named!r} is not among the container's ports: {', '.join(ports) or 'it names none'}"
        )
    return ports[named]


async def _connect(socket: Json, target: Target) -> Answer:
    host = socket.get("host") or target.pod_ip
    _, writer = await asyncio.open_connection(host, port(socket["port"], target.ports))
    writer.close()
    return Answer(True)


async def _execute(command: list[str], target: Target) -> Answer:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=target.env,
        cwd=target.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    said = output[:_SHOWN_BYTES].decode(errors="replace").strip()
    return Answer(process.returncode == 0, said or f"exit code {process.returncode}")
