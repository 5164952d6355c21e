"""/healthz turns red when a watch or the cycle is stuck, and still answers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from millpond.control.report.metrics import Metrics
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api
from millpond.lead.health import Finding, Health, Heartbeat

from kube.fault_proxy import FaultProxy
from waiting import eventually_async


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    health = Health(listen="127.0.0.1:0", metrics=Metrics())
    await health.start()
    yield health
    await health.stop()


async def ask(health: Health, path: str = "healthz") -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{health.address}/{path}") as response:
            kind = response.content_type
            return response.status, await (response.json() if "json" in kind else response.text())


async def test_a_cycle_that_hangs_turns_it_red_and_it_still_answers(health: Health) -> None:
    heart, go_on = Heartbeat(), asyncio.Event()
    health.heartbeat("cycle", heart, max_age_s=0.5)

    async def cycle() -> None:
        while True:
            heart.beat()
            await asyncio.sleep(0.01)
            await go_on.wait()

    go_on.set()
    running = asyncio.create_task(cycle())
    assert (await ask(health))[0] == 200
    go_on.clear()  # hangs, say, in a call that never returns

    async def red() -> bool:
        status, body = await ask(health)
        return status == 500 and body["checks"]["cycle"]["ok"] is False

    await eventually_async(red, 10, "the hanging cycle is noticed")
    go_on.set()

    async def green() -> bool:
        return (await ask(health))[0] == 200

    await eventually_async(green, 10, "it recovers")
    assert "millpond_cycle_age_seconds" in (await ask(health, "metrics"))[1]
    running.cancel()


@pytest.mark.integration
async def test_a_stuck_watch_turns_it_red_until_it_recovers(
    health: Health, proxied: Api, proxy: FaultProxy
) -> None:
    reflector = Reflector(proxied, paths.namespaces(), keep=lambda obj: None, watch_s=1.0, grace_s=0.5)
    health.watch("namespaces", reflector.store, max_age_s=3.0)
    reflector.start()
    await reflector.wait_synced()
    assert (await ask(health))[0] == 200
    proxy.freeze_watches()

    async def status(expected: int) -> bool:
        return (await ask(health))[0] == expected

    await eventually_async(lambda: status(500), 20, "the stuck watch is noticed")
    proxy.thaw_watches()
    await eventually_async(lambda: status(200), 20, "it recovers")
    await reflector.stop()


async def test_a_watch_that_never_listed_turns_it_red(health: Health) -> None:
    clock = [0.0]
    reflector = Reflector(Api(), paths.pods(), keep=lambda obj: None, clock=lambda: clock[0])
    late = Health(listen="127.0.0.1:0", metrics=Metrics(), clock=lambda: clock[0])
    late.watch("pods", reflector.store, max_age_s=90)
    assert late.report()[0]
    clock[0] = 91.0
    ok, findings = late.report()
    assert not ok
    assert findings["watch pods"].detail == "never listed, last 91.0 s ago (at most 90 s)"


async def test_ready_needs_what_it_was_told_and_health(health: Health) -> None:
    ready = [False]
    health.ready_when("synced", lambda: ready[0])
    assert await ask(health, "readyz") == (503, {"ok": False, "ready": {"synced": False}})
    ready[0] = True
    assert (await ask(health, "readyz"))[0] == 200
    health.alive("kopf", lambda: False)
    assert (await ask(health, "readyz"))[0] == 503


async def test_information_is_shown_and_never_red_a_check_that_fails_is(health: Health) -> None:
    health.inform("lease", lambda: "waits for op-1")
    assert await ask(health) == (
        200,
        {"ok": True, "checks": {"lease": {"ok": None, "detail": "waits for op-1"}}},
    )

    def broken() -> Finding:
        raise LookupError("no such thing")

    health.check("broken", broken)
    status, body = await ask(health)
    assert status == 500
    assert "no such thing" in body["checks"]["broken"]["detail"]
