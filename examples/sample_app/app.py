"""A small real web app that behaves like an application server: K slots work, the rest queue in order.

    python app.py                      # on http://127.0.0.1:8080/, 4 slots x 100 ms: 40 requests/s

GET|POST /       one piece of work           GET /healthz  the process lives
GET /session     one more, and counts it     GET /readyz   started and not leaving
                 in the caller's session     GET /metrics  Prometheus text
GET /ledger      which X-Request-Id came how often (?id=X one, ?ids=1 each)

Everything is set by the environment (`Settings`). SIGTERM: refuses what is new, finishes what it has, ends.
"""

import asyncio
import os
import random
import sys
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

SESSION_COOKIE = "SHOPSESSION"
MAX_SESSIONS = 100_000
MAX_LEDGER_IDS = 1_000_000
MODES = ("wait", "cpu")


class SettingsError(ValueError):
    """An environment variable has a value that the app cannot run with."""


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name, "").strip() or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SettingsError(f"{name}={text!r}: must be a number from {low:g} to {high:g}")
    return value


def _count(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = _number(env, name, default, low, high)
    if value != int(value):
        raise SettingsError(f"{name}={env[name]!r}: must be a whole number from {low} to {high}")
    return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    mode: str = "wait"
    """MODE. wait: a slot waits, as for a back end, and uses no CPU. cpu: a slot computes."""
    service_time_ms: float = 100
    """SERVICE_TIME_MS: how long one piece of work takes once it has a slot (CPU time in mode cpu)."""
    slots: int = 4
    """SLOTS: pieces of work at the same time; the others wait for their turn."""
    start_delay_s: float = 0
    """START_DELAY_S: from the start of the process until it is ready."""
    warmup_s: float = 0
    """WARMUP_S: so long after it is ready, work still takes WARMUP_FACTOR times as long."""
    warmup_factor: float = 2
    leak_bytes_per_request: int = 0
    """LEAK_BYTES_PER_REQUEST: memory that every request leaves behind."""
    error_ratio: float = 0
    """ERROR_RATIO: share of the work that ends with status 500."""
    host: str = "127.0.0.1"
    """HOST, else POD_IP."""
    port: int = 8080
    shutdown_s: float = 60
    """SHUTDOWN_S: how long SIGTERM lets running work go on."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        mode = env.get("MODE", "wait")
        if mode not in MODES:
            raise SettingsError(f"MODE={mode!r}: must be one of {', '.join(MODES)}")
        return cls(
            mode=mode,
            service_time_ms=_number(env, "SERVICE_TIME_MS", 100, 0, 600_000),
            slots=_count(env, "SLOTS", 4 if mode == "wait" else 1, 1, 1000),
            start_delay_s=_number(env, "START_DELAY_S", 0, 0, 3600),
            warmup_s=_number(env, "WARMUP_S", 0, 0, 3600),
            warmup_factor=_number(env, "WARMUP_FACTOR", 2, 1, 100),
            leak_bytes_per_request=_count(env, "LEAK_BYTES_PER_REQUEST", 0, 0, 1 << 30),
            error_ratio=_number(env, "ERROR_RATIO", 0, 0, 1),
            host=env.get("HOST") or env.get("POD_IP") or "127.0.0.1",
            port=_count(env, "PORT", 8080, 1, 65535),
            shutdown_s=_number(env, "SHUTDOWN_S", 60, 0, 3600),
        )


class Ledger:
    """Which request ids were worked on, and how often: a lost or doubled request shows here."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.without_id = 0

    def enter(self, request_id: str | None) -> None:
        self.total += 1
        if not request_id:
            self.without_id += 1
        elif request_id in self.counts or len(self.counts) < MAX_LEDGER_IDS:
            self.counts[request_id] += 1

    def summary(self) -> dict[str, int]:
        repeated = sum(self.counts.values()) - len(self.counts)
        return {
            "total": self.total,
            "ids": len(self.counts),
            "duplicates": repeated,
            "without_id": self.without_id,
        }


class Shop:
    """The app: slots with a queue in front of them, sessions, and counts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = os.environ.get("HOSTNAME") or f"shop-{os.getpid()}"
        self.ledger = Ledger()
        self.sessions: OrderedDict[str, int] = OrderedDict()
        self.statuses: Counter[int] = Counter()
        self.leaked: list[bytearray] = []
        self.waiting = self.working = 0
        self.ready_since_s: float | None = None
        self.leaving = False
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
        self.leaving = True

    @property
    def ready(self) -> bool:
        return self.ready_since_s is not None and not self.leaving

    def _work_s(self) -> float:
        cold = time.monotonic() - (self.ready_since_s or 0) < self.settings.warmup_s
        return self.settings.service_time_ms / 1000 * (self.settings.warmup_factor if cold else 1)

    async def work(self, request: web.Request) -> web.Response:
        if not self.ready:
            return self._answer(503, {"error": "leaving" if self.leaving else "starting"})
        await request.read()
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.working += 1
        try:
            await self._serve(self._work_s())
        finally:
            self.working -= 1
            self._slots.release()
        return self._done(request)

    async def _serve(self, seconds: float) -> None:
        if self._threads:
            await asyncio.get_running_loop().run_in_executor(self._threads, _burn, seconds)
        else:
            await asyncio.sleep(seconds)

    def _done(self, request: web.Request) -> web.Response:
        request_id = request.headers.get("X-Request-Id")
        self.ledger.enter(request_id)
        if self.settings.leak_bytes_per_request:
            self.leaked.append(bytearray(os.urandom(self.settings.leak_bytes_per_request)))
        failed = random.random() < self.settings.error_ratio
        return self._answer(500 if failed else 200, {"id": request_id, "server": self.name})

    def _answer(self, status: int, body: dict[str, object]) -> web.Response:
        self.statuses[status] += 1
        return web.json_response(body, status=status, headers={"X-Server": self.name})

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
            "leaked_bytes": sum(map(len, self.leaked)),
            "ready": int(self.ready),
        }
        for name, value in gauges.items():
            lines += [f"# TYPE shop_{name} gauge", f"shop_{name} {value}"]
        return web.Response(text="\n".join(lines) + "\n")


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
    app.add_routes(
        [
            web.get("/session", shop.session),
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
    except SettingsError as error:
        sys.exit(f"cannot start: {error}")
    print(f"listening on http://{settings.host}:{settings.port}/", flush=True)
    web.run_app(
        make_app(settings),
        host=settings.host,
        port=settings.port,
        shutdown_timeout=settings.shutdown_s,
        access_log=None,
        print=None,
        backlog=4096,
    )


if __name__ == "__main__":
    main()
