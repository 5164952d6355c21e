"""A small real web app that behaves like an application server: K slots work, the rest queue in order.

    python app.py                      # on http://127.0.0.1:8080/, 4 slots x 100 ms: 40 requests/s

GET|POST /       one piece of work           GET /stream   server-sent events, one a second (?s=30)
GET|POST /session  one more, and counts it   GET /ws       a WebSocket that sends back what it gets
                 in the caller's session     GET /healthz  the process lives
GET /ledger      which request id came how   GET /readyz   started and not leaving
                 often (?id=X, ?ids=1)       GET /metrics  Prometheus text

`?ms=3000`: this piece of work takes so long. Bodies are counted. Every answer has X-Server and X-Edition.
Everything is set by the environment (settings.py). SIGTERM: refuses what is new, finishes what it has, ends.
"""

import asyncio
import os
import random
import sys
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from aiohttp import web
from ledger import Ledger, request_id
from settings import MAX_WORK_MS, Settings, SettingsError, number
from streams import Streams

SESSION_COOKIE = "SHOPSESSION"
MAX_SESSIONS = 100_000


class Shop:
    """The app: slots with a queue in front of them, sessions, and counts. Raises OSError: no ledger file."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = os.environ.get("HOSTNAME") or f"shop-{os.getpid()}"
        self.ledger = Ledger(self.name, settings.ledger_dir)
        self.sessions: OrderedDict[str, int] = OrderedDict()
        self.statuses: Counter[int] = Counter()
        self.leaked: list[bytearray] = []
        self.waiting = self.working = 0
        self.ready_since_s: float | None = None
        self.leaving = asyncio.Event()
        self.streams = Streams(self)
        self._slots = asyncio.Semaphore(settings.slots)  # wakes in the order of arrival
        self._threads = ThreadPoolExecutor(settings.slots) if settings.mode == "cpu" else None

    @asynccontextmanager
    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Listens at once, ready after the start delay: so a prober can tell slow from dead."""
        opening = asyncio.create_task(self._open())
        yield
        opening.cancel()
        if self._threads:
            self._threads.shutdown(wait=False)

    async def _open(self) -> None:
        await asyncio.sleep(self.settings.start_delay_s)
        self.ready_since_s = time.monotonic()

    async def leave(self, _: web.Application) -> None:
        self.leaving.set()

    @property
    def ready(self) -> bool:
        return self.ready_since_s is not None and not self.leaving.is_set()

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Server": self.name, "X-Edition": self.settings.edition}

    def _work_s(self, request: web.Request) -> float:
        asked = request.query.get("ms")
        work_ms = self.settings.service_time_ms if asked is None else number("ms", asked, 0, MAX_WORK_MS)
        cold = time.monotonic() - (self.ready_since_s or 0) < self.settings.warmup_s
        return work_ms / 1000 * (self.settings.warmup_factor if cold else 1)

    async def work(self, request: web.Request) -> web.Response:
        if not self.ready:
            return self.refuse()
        try:
            work_s = self._work_s(request)
        except SettingsError as error:
            return self._answer(400, {"error": str(error)})
        received = await _size(request)
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.working += 1
        try:
            self.ledger.enter(request_id(request))
            await self._serve(work_s)
        finally:
            self.working -= 1
            self._slots.release()
        return self._done(request, received)

    async def _serve(self, seconds: float) -> None:
        if self._threads:
            await asyncio.get_running_loop().run_in_executor(self._threads, _burn, seconds)
        else:
            await asyncio.sleep(seconds)

    def _done(self, request: web.Request, received: int) -> web.Response:
        if self.settings.leak_bytes_per_request:
            self.leaked.append(bytearray(os.urandom(self.settings.leak_bytes_per_request)))
        failed = random.random() < self.settings.error_ratio
        answer = {"id": request_id(request), "server": self.name, "bytes": received}
        return self._answer(500 if failed else 200, answer)

    def refuse(self) -> web.Response:
        return self._answer(503, {"error": "leaving" if self.leaving.is_set() else "starting"})

    def _answer(self, status: int, body: dict[str, object]) -> web.Response:
        self.statuses[status] += 1
        return web.json_response(body, status=status, headers=self.headers)

    async def session(self, request: web.Request) -> web.Response:
        """Work that counts the visits of one caller, in the memory of this one server."""
        key = request.cookies.get(SESSION_COOKIE, "")
        if key not in self.sessions:
            key = uuid.uuid4().hex
        self.sessions[key] = visits = self.sessions.pop(key, 0) + 1
        if len(self.sessions) > MAX_SESSIONS:
            self.sessions.popitem(last=False)
        response = await self.work(request)
        response.set_cookie(SESSION_COOKIE, key, httponly=True)
        response.headers["X-Visits"] = str(visits)
        return response

    async def healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self.ready else web.Response(status=503, text="not ready\n")

    async def show_ledger(self, request: web.Request) -> web.Response:
        if "id" in request.query:
            return web.json_response({"count": self.ledger.counts[request.query["id"]]})
        each = {"counts": self.ledger.counts} if "ids" in request.query else {}
        return web.json_response({"server": self.name, **self.ledger.summary(), **each})

    async def metrics(self, _: web.Request) -> web.Response:
        lines = ["# TYPE shop_requests_total counter"]
        lines += [f'shop_requests_total{{code="{code}"}} {n}' for code, n in sorted(self.statuses.items())]
        gauges = {
            "working": self.working,
            "waiting": self.waiting,
            "slots": self.settings.slots,
            "sessions": len(self.sessions),
            "streams": self.streams.open,
            "leaked_bytes": sum(map(len, self.leaked)),
            "ready": int(self.ready),
        }
        for name, value in gauges.items():
            lines += [f"# TYPE shop_{name} gauge", f"shop_{name} {value}"]
        return web.Response(text="\n".join(lines) + "\n")


async def _size(request: web.Request) -> int:
    """How many bytes its body has; a body of any size needs little memory."""
    return sum([len(chunk) async for chunk in request.content.iter_chunked(1 << 16)])


def _burn(seconds: float) -> None:
    """Uses so much CPU time of this thread, however busy the machine is."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(500))


def make_app(settings: Settings) -> web.Application:
    shop = Shop(settings)
    app = web.Application()
    app.cleanup_ctx.append(shop.lifespan)
    app.on_shutdown.append(shop.leave)
    app.router.add_route("*", "/", shop.work)
    app.router.add_route("*", "/session", shop.session)
    app.add_routes(
        [
            web.get("/stream", shop.streams.events),
            web.get("/ws", shop.streams.echo),
            web.get("/ledger", shop.show_ledger),
            web.get("/healthz", shop.healthz),
            web.get("/readyz", shop.readyz),
            web.get("/metrics", shop.metrics),
        ]
    )
    return app


def main() -> None:
    try:
        settings = Settings.from_env(os.environ)
        app = make_app(settings)
    except (SettingsError, OSError) as error:
        sys.exit(f"cannot start: {error}")
    print(f"listening on http://{settings.host}:{settings.port}/", flush=True)
    web.run_app(
        app,
        host=settings.host,
        port=settings.port,
        shutdown_timeout=settings.shutdown_s,
        access_log=None,
        print=None,
        backlog=4096,
    )


if __name__ == "__main__":
    main()
