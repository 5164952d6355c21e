"""/healthz, /readyz and /metrics. Answers also while the cycle hangs: that is when it is needed.

An event loop that is blocked cannot answer at all, which a probe's timeout finds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from aiohttp import web

from millpond.clock import Clock, steady_s
from millpond.control.report.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report. ``ok`` None: for information only, never makes it red."""

    ok: bool | None
    detail: str


Check: TypeAlias = Callable[[], Finding]


class Watched(Protocol):
    """What a watch check looks at; `millpond.kube.cache.Store` is one."""

    @property
    def synced(self) -> bool: ...

    def age_s(self, now_s: float) -> float: ...


class Heartbeat:
    """Beaten by something that must come round again and again."""

    def __init__(self, clock: Clock = steady_s) -> None:
        self._clock = clock
        self._last_s = clock()
        self.beats = 0

    def beat(self) -> None:
        self._last_s = self._clock()
        self.beats += 1

    def age_s(self) -> float:
        return self._clock() - self._last_s


class Health:
    """Checks by name, and the HTTP server that shows them.

    Red (500) when a check that matters fails; ready (200) when also all that `ready_when` names is true.
    """

    def __init__(self, *, listen: str, metrics: Metrics, clock: Clock = steady_s) -> None:
        """``listen``: "127.0.0.1:8081"; port 0 takes a free one, see `address`."""
        self._listen = listen
        self._metrics = metrics
        self._clock = clock
        self._checks: dict[str, Check] = {}
        self._ready: dict[str, Callable[[], bool]] = {}
        self._runner: web.AppRunner | None = None

    def check(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def watch(self, resource: str, store: Watched, *, max_age_s: float = 90.0) -> None:
        """Red without a sign of life of the watch for ``max_age_s`` (at first: since the start)."""

        def look() -> Finding:
            age_s = store.age_s(self._clock())
            return _aged(age_s, max_age_s, "in sync" if store.synced else "never listed")

        self.check(f"watch {resource}", look)
        self._metrics.age(resource, lambda: store.age_s(self._clock()))

    def heartbeat(self, name: str, heart: Heartbeat, *, max_age_s: float = 60.0) -> None:
        self.check(name, lambda: _aged(heart.age_s(), max_age_s, f"{heart.beats} passes"))
        self._metrics.age(name, heart.age_s)

    def alive(self, name: str, alive: Callable[[], bool]) -> None:
        """Red when ``alive()`` is not true: a thread or task that has ended."""
        self.check(name, lambda: Finding(ok=alive(), detail="runs" if alive() else "has ended"))

    def inform(self, name: str, text: Callable[[], str]) -> None:
        self.check(name, lambda: Finding(ok=None, detail=text()))

    def ready_when(self, name: str, ready: Callable[[], bool]) -> None:
        self._ready[name] = ready

    def report(self) -> tuple[bool, Mapping[str, Finding]]:
        findings = {name: _safely(check) for name, check in self._checks.items()}
        return all(f.ok is not False for f in findings.values()), findings

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        host, _, port = self._listen.rpartition(":")
        await web.TCPSite(self._runner, host.strip("[]") or None, int(port)).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def address(self) -> str:
        """host:port that is really listened on."""
        assert self._runner is not None, "not started"
        host, port = self._runner.addresses[0][:2]
        return f"{host}:{port}"

    async def _healthz(self, _: web.Request) -> web.Response:
        ok, findings = self.report()
        checks = {name: {"ok": f.ok, "detail": f.detail} for name, f in findings.items()}
        return _answer(ok, {"ok": ok, "checks": checks}, red=500)

    async def _readyz(self, _: web.Request) -> web.Response:
        states = {name: ready() for name, ready in self._ready.items()}
        ok = all(states.values()) and self.report()[0]
        return _answer(ok, {"ok": ok, "ready": states}, red=503)

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


def _answer(ok: bool, body: Mapping[str, Any], *, red: int) -> web.Response:
    return web.json_response(body, status=200 if ok else red)


def _aged(age_s: float, max_age_s: float, detail: str) -> Finding:
    return Finding(
        ok=age_s <= max_age_s, detail=f"{detail}, last {age_s:.1f} s ago (at most {max_age_s:.0f} s)"
    )


def _safely(check: Check) -> Finding:
    try:
        return check()
    except Exception as error:  # a check that cannot tell is a reason to look
        return Finding(ok=False, detail=f"the check itself failed: {error!r}")
