"""Stands between a client and a real API server, sees every request, and misbehaves on demand.

It runs in a thread with an event loop of its own, so it serves tests of both kinds and operators in other
processes. Clients use `kubeconfig`: plain HTTP on loopback, with the token of the original (or, without one,
with the rights of whoever the original's client certificate names).
"""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import yaml
from aiohttp import web

from millpond.kube.login import Login

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOP_BY_HOP = frozenset({"transfer-encoding", "content-length", "connection", "content-encoding", "host"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    verb: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""

    @property
    def watch(self) -> bool:
        return self.query.get("watch") == "true"

    @property
    def write(self) -> bool:
        return self.verb in WRITES and "dryRun" not in self.query

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Status:
    """Answer this instead of asking the server."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Accept the request and never answer."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Cut the connection before the server hears of the request."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Let the server do it, then cut the connection."""


Fault: TypeAlias = Status | Hang | Reset | LoseAnswer
When: TypeAlias = Callable[[Seen], bool]


class Injection:
    """A fault in force; `lift` ends it, and cuts what it left hanging."""

    def __init__(self, when: When, fault: Fault, times: int | None) -> None:
        self.when = when
        self.fault = fault
        self.left = times
        self.hits = 0
        self.lifted = threading.Event()

    def lift(self) -> None:
        self.lifted.set()

    def strikes(self, seen: Seen) -> bool:
        if self.lifted.is_set() or self.left == 0 or not self.when(seen):
            return False
        self.hits += 1
        self.left = None if self.left is None else self.left - 1
        return True


class FaultProxy:
    """``with FaultProxy(cluster.kubeconfig, tmp_path) as proxy: Api(proxy.kubeconfig) …``"""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = folder / "fault-proxy.kubeconfig"
        self.seen: list[Seen] = []
        self._origin = kubeconfig
        self._injections: list[Injection] = []
        self._edit_event: Callable[[Seen, Mapping[str, Any]], bool] = lambda _seen, _event: True
        self._edit_query: Callable[[Seen], Mapping[str, str]] = lambda seen: seen.query
        self._frozen = False
        self._delay_s, self._delayed = 0.0, ""
        self._after_write: Callable[[Seen], None] = lambda _seen: None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)

    # -- what a test says

    def inject(self, when: When, fault: Fault, times: int | None = None) -> Injection:
        """From now on ``fault`` for the requests that ``when`` picks, at most ``times`` of them."""
        injection = Injection(when, fault, times)
        self._injections.append(injection)
        return injection

    def writes(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.write]

    def filter_watches(self, passes: Callable[[Seen, Mapping[str, Any]], bool]) -> None:
        """Hide the watch events for which ``passes(request, event)`` is not true."""
        self._edit_event = passes

    def rewrite_query(self, rewrite: Callable[[Seen], Mapping[str, str]]) -> None:
        self._edit_query = rewrite

    def freeze_watches(self) -> None:
        """Running watches fall silent without ending, and new ones say nothing."""
        self._frozen = True

    def thaw_watches(self) -> None:
        """New watches work again; the frozen ones stay silent, like connections through a dead router."""
        self._frozen = False

    def delay_watches(self, delay_s: float, of: str = "") -> None:
        """Events of watches whose path contains ``of`` come so much later, in their order."""
        self._delay_s, self._delayed = delay_s, of

    def after_write(self, then: Callable[[Seen], None]) -> None:
        """Call ``then`` (say, kill the operator) after each write that the server has done, before its answer."""
        self._after_write = then

    # -- its life

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        assert self._started.wait(20), "the fault proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        for injection in self._injections:
            injection.lift()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        origin = await Login(self._origin).configuration()
        self._server, self._token = origin.host, origin.api_key.get("BearerToken")
        tls = _tls(origin)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=True) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._write_kubeconfig(runner.addresses[0][1])
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()

    def _write_kubeconfig(self, port: int) -> None:
        content = yaml.safe_load(self._origin.read_text())
        user = content["users"][0]["user"]
        for cluster in content["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        for entry in content["users"]:
            entry["user"] = {k: v for k, v in user.items() if k in ("token", "tokenFile")}
        self.kubeconfig.write_text(yaml.safe_dump(content))

    # -- one request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.path, dict(request.query), await request.read())
        self.seen.append(seen)
        injection = next((i for i in self._injections if i.strikes(seen)), None)
        match injection.fault if injection else None:
            case Status(code, headers):
                body = {"kind": "Status", "code": code, "message": f"injected {code}"}
                return web.json_response(body, status=code, headers=headers)
            case Hang():
                assert injection is not None
                await asyncio.to_thread(injection.lifted.wait)
                return _cut(request)
            case Reset():
                return _cut(request)
            case LoseAnswer():
                await self._forward(request, seen, answer=False)
                return _cut(request)
        return await self._forward(request, seen, answer=True)

    async def _forward(self, request: web.Request, seen: Seen, *, answer: bool) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        if self._token and "Authorization" not in headers:
            headers["Authorization"] = self._token
        url = self._server + request.path
        query = dict(self._edit_query(seen))
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.request(
            seen.verb, url, params=query, data=seen.body or None, headers=headers, timeout=timeout
        ) as upstream:
            if answer and seen.watch and upstream.status == 200:
                return await self._relay_watch(request, seen, upstream)
            content = await upstream.read()
        if seen.write and upstream.status < 300:
            self._after_write(seen)
        kept = {k: v for k, v in upstream.headers.items() if k.lower() not in _HOP_BY_HOP}
        return web.Response(status=upstream.status, body=content, headers=kept)

    async def _relay_watch(
        self, request: web.Request, seen: Seen, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        frozen, rest, late = False, b"", asyncio.Queue[tuple[float, bytes]]()
        postman = asyncio.create_task(self._deliver(late, response))
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            async for chunk in upstream.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                frozen = frozen or self._frozen
                for line in lines:
                    if not frozen and self._edit_event(seen, json.loads(line)):
                        delay_s = self._delay_s if self._delayed in seen.path else 0.0
                        late.put_nowait((self._loop.time() + delay_s, line + b"\n"))
        if frozen or self._frozen:
            await self._stop.wait()  # the server ended it, and nobody hears of that
        late.put_nowait((0.0, b""))
        await postman
        return response

    async def _deliver(
        self, late: "asyncio.Queue[tuple[float, bytes]]", response: web.StreamResponse
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while (event := await late.get())[1]:
                await asyncio.sleep(max(0.0, event[0] - self._loop.time()))
                await response.write(event[1])


def _tls(origin: Any) -> Any:
    context = ssl.create_default_context(cafile=origin.ssl_ca_cert)
    if origin.cert_file:
        context.load_cert_chain(origin.cert_file, origin.key_file)
    if not origin.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
