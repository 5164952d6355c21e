"""The load generator sends on schedule whatever the servers do, and counts every request once."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from millpond.demo.requests.load import Generator, LoadPlan
from millpond.demo.requests.profile import Profile
from millpond.demo.requests.tally import Outcome, Totals

from .conftest import RunningApp, free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


async def lines_written(lines: list[str], count: int) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while len(lines) < count:
        assert asyncio.get_running_loop().time() < deadline, f"{len(lines)} lines, not {count}"
        await asyncio.sleep(0)


async def run(plan: LoadPlan) -> tuple[Totals, list[dict[str, float]]]:
    lines: list[str] = []
    totals = await Generator(plan, lines.append).run()
    return totals, [json.loads(line) for line in lines[1:-1]]


def test_counts_agree_exactly_with_those_of_a_real_server(run_app: Callable[..., RunningApp]) -> None:
    app = run_app(SERVICE_TIME_MS="5")
    command = [sys.executable, "-m", "millpond.demo.requests.load", "--target", f"{app.url}/"]
    profile = Profile.steps((1, 40), (1, 80)).to_json()
    done = subprocess.run([*command, "--profile", profile], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    first, *rows, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert first.keys() == {"started_at_s"}
    assert last["sent"] == last["ok"] == 120
    assert sum(row["sent"] for row in rows) == sum(row["ok"] for row in rows) == 120
    assert [row["t_s"] for row in rows] == list(range(len(rows)))
    with urllib.request.urlopen(f"{app.url}/ledger") as ledger:
        assert json.load(ledger)["total"] == 120


async def test_a_hanging_server_does_not_slow_the_arrivals() -> None:
    seen: list[float] = []
    answer = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        seen.append(asyncio.get_running_loop().time())
        if len(seen) == 60:
            answer.set()
        await answer.wait()
        return web.Response()

    async with serving(hang) as url:
        totals, _ = await run(LoadPlan(target=url, profile=Profile.steps((1, 60)), timeout_s=20))
    assert totals.ok == 60  # a closed loop would never have brought the sixtieth


async def test_latency_counts_from_when_the_request_was_due() -> None:
    async def quick(_: web.Request) -> web.Response:
        return web.Response()

    async with serving(quick) as url:
        lines: list[str] = []
        generator = Generator(LoadPlan(target=url, profile=Profile.steps((1, 10))), lines.append)
        running = asyncio.create_task(generator.run())
        await lines_written(lines, 1)
        held = asyncio.get_running_loop().time() + 0.9
        while asyncio.get_running_loop().time() < held:
            pass  # nothing can be sent while the event loop is busy
        await running
    rows = [json.loads(line) for line in lines[1:-1]]
    slowest_ms = max(row["p95_ms"] or 0 for row in rows)
    assert slowest_ms >= 700  # the request due after 100 ms could not leave before 900 ms


async def _error(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def _hang(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def _break(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        pytest.param(_error, Outcome.HTTP_ERROR, id="an answer with status 503 is an HTTP error"),
        pytest.param(_hang, Outcome.TIMEOUT, id="no answer in time is a timeout"),
        pytest.param(_break, Outcome.REFUSED, id="a broken connection is refused"),
    ],
)
async def test_outcomes_are_told_apart(handler: Handler, outcome: Outcome) -> None:
    async with serving(handler) as url:
        totals, rows = await run(LoadPlan(target=url, profile=Profile.steps((0.5, 20)), timeout_s=0.4))
    assert totals.outcomes[outcome] == totals.sent == totals.failed == 10
    assert sum(row["failed"] for row in rows) == 10


async def test_nobody_listening_is_refused() -> None:
    totals, _ = await run(
        LoadPlan(target=f"http://127.0.0.1:{free_port()}/", profile=Profile.steps((0.2, 20)))
    )
    assert totals.outcomes[Outcome.REFUSED] == totals.sent == 4


async def test_beyond_the_bound_of_open_requests_arrivals_count_as_unsent() -> None:
    async with serving(_hang) as url:
        plan = LoadPlan(target=url, profile=Profile.steps((0.5, 20)), timeout_s=0.9, max_open=3)
        totals, _ = await run(plan)
    assert totals.outcomes[Outcome.UNSENT] == 7
    assert totals.outcomes[Outcome.TIMEOUT] == 3
    assert (totals.ok, totals.failed) == (0, 10)


async def test_stopping_early_still_accounts_for_every_request() -> None:
    async def quick(_: web.Request) -> web.Response:
        return web.Response()

    async with serving(quick) as url:
        lines: list[str] = []
        generator = Generator(LoadPlan(target=url, profile=Profile.steps((60, 50))), lines.append)
        running = asyncio.create_task(generator.run())
        await lines_written(lines, 2)
        generator.stop()
        totals = await running
    assert totals.sent == totals.ok > 0


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("http://192.0.2.1/", id="an address of another machine"),
        pytest.param("http://localhost:80/", id="a name, even this one"),
        pytest.param("https://127.0.0.1/", id="not http"),
        pytest.param("127.0.0.1:80", id="not a URL"),
    ],
)
def test_targets_off_the_loopback_are_refused(target: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        LoadPlan(target=target, profile=Profile.steps((1, 1)))
