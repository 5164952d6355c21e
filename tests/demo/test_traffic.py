"""Traffic with sessions, slow requests and bodies; what is lost, doubled or moved on the way is found and named."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from millpond.demo.requests.accounts import faults, read_ledgers
from millpond.demo.requests.answers import Answer, TrafficTotals, read_answers
from millpond.demo.requests.targets import Targets
from millpond.demo.requests.traffic import Traffic, TrafficPlan

from .conftest import RunningApp, free_port
from waiting import eventually

RunApp = Callable[..., RunningApp]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
COMMAND = (sys.executable, "-m", "millpond.demo.requests.traffic")


def plan(**more: float) -> TrafficPlan:
    return TrafficPlan(**{"rate_rps": 60, "seconds": 2, "slow_ms": 300, **more})  # type: ignore[arg-type]


async def run(target: str, planned: TrafficPlan) -> tuple[TrafficTotals, Sequence[Answer]]:
    answers: list[Answer] = []
    totals = await Traffic(planned, Targets(target), lambda _: None, answers.append).run()
    return totals, answers


@asynccontextmanager
async def between(
    app: RunningApp, handle: Callable[..., Awaitable[web.StreamResponse]]
) -> AsyncIterator[str]:
    """A proxy before the app: `handle(request, forward)` answers, with or without asking the app."""

    async def forward(request: web.Request) -> web.Response:
        headers = {k: request.headers[k] for k in ("X-Client-Request-Id", "Cookie") if k in request.headers}
        asked = client.request(
            request.method, app.url + request.path_qs, headers=headers, data=await request.read()
        )
        async with asked as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower().startswith(("x-", "set-cookie"))]
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handle(request, forward)

    server = web.Application()
    server.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


def number(request: web.Request) -> int:
    return int(request.headers["X-Client-Request-Id"].rpartition("-")[2])


async def test_every_request_of_the_mix_is_answered_and_worked_on_once(
    run_app: RunApp, tmp_path: Path
) -> None:
    app = run_app(SLOTS="50", SERVICE_TIME_MS="5", EDITION="v1", LEDGER_DIR=str(tmp_path))
    totals, answers = await run(app.url, plan(seconds=3, session_s=1.5))
    assert (totals.sent, totals.ok, totals.sound) == (180, 180, True)
    assert {a.id for a in answers} == {f"t-{n}" for n in range(1, 181)}
    assert {a.edition for a in answers} == {"v1"}
    assert faults(answers, read_ledgers(tmp_path, "t")) == []
    assert (
        totals.sessions == len({a.session for a in answers if a.session}) > 20
    )  # old ones end, new ones come


async def test_the_shares_are_those_asked_for(run_app: RunApp) -> None:
    seen: list[web.Request] = []

    async def note(request: web.Request, forward: Handler) -> web.StreamResponse:
        seen.append(request)
        return await forward(request)

    app = run_app(SLOTS="100", SERVICE_TIME_MS="1")
    async with between(app, note) as url:
        totals, _ = await run(url, plan(rate_rps=200, sessions=0.3, slow=0.1, post=0.2, session_s=60))
    assert totals.sound
    assert len(seen) == 400
    visits = [r for r in seen if r.path == "/session"]
    assert 90 <= len(visits) <= 150
    assert 20 <= sum(r.query.get("ms") == "300" for r in seen) <= 60
    assert 55 <= sum(r.method == "POST" for r in seen) <= 105
    assert (
        sum("Cookie" in r.headers for r in visits) == len(visits) - totals.sessions
    )  # all but each first visit


async def test_a_request_that_is_answered_but_never_reached_a_server_is_found(
    run_app: RunApp, tmp_path: Path
) -> None:
    async def lose_one(request: web.Request, forward: Handler) -> web.StreamResponse:
        if number(request) != 90:
            return await forward(request)
        size = len(await request.read())
        return web.json_response(
            {"id": request.headers["X-Client-Request-Id"], "bytes": size}, headers={"X-Server": "liar"}
        )

    app = run_app(SLOTS="50", SERVICE_TIME_MS="1", LEDGER_DIR=str(tmp_path))
    async with between(app, lose_one) as url:
        _, answers = await run(url, plan(sessions=0))
    assert faults(answers, read_ledgers(tmp_path, "t")) == [
        "1 answered, but worked on by no server: t-90 by liar in second 1"
    ]


async def test_a_request_that_is_worked_on_twice_is_found(run_app: RunApp, tmp_path: Path) -> None:
    async def double_one(request: web.Request, forward: Handler) -> web.StreamResponse:
        if number(request) == 30:
            await forward(request)
        return await forward(request)

    app = run_app(SLOTS="50", SERVICE_TIME_MS="1", HOSTNAME="shop", LEDGER_DIR=str(tmp_path))
    async with between(app, double_one) as url:
        _, answers = await run(url, plan(sessions=0))
    assert faults(answers, read_ledgers(tmp_path, "t")) == [
        "1 worked on more than once: t-30 by shop in second 0: by shop, shop"
    ]


async def test_sessions_that_another_server_answers_are_found(run_app: RunApp, tmp_path: Path) -> None:
    """A balancer without affinity: sessions alternate between two servers of different editions."""
    env = {"SLOTS": "50", "SERVICE_TIME_MS": "1", "LEDGER_DIR": str(tmp_path)}
    apps = [run_app(EDITION=name, HOSTNAME=f"shop-{name}", **env) for name in ("v1", "v2")]
    listed = tmp_path / "targets"
    listed.write_text("\n".join(app.url for app in apps))
    totals, answers = await run(f"@{listed}", plan(seconds=4, sessions=0.5, slow=0, session_s=60))
    assert totals.failed == 0
    assert totals.moved > 0
    assert totals.forgotten > 0
    assert not totals.sound
    moves, forgotten = faults(answers, read_ledgers(tmp_path, "t"))
    assert moves.startswith(f"{totals.moved} sessions on several editions: s")
    assert " from v1 to v2 with t-" in moves
    assert "unknown to the server of their session: t-" in forgotten
    assert faults(answers, read_ledgers(tmp_path, "t"), one_edition=False, one_server=False) == []


async def test_failures_and_answers_to_something_else_are_found(run_app: RunApp, tmp_path: Path) -> None:
    async def mix_up(request: web.Request, forward: Handler) -> web.StreamResponse:
        answer = await forward(request)
        if number(request) == 7:
            return web.Response(status=502)
        if number(request) == 8:
            return web.json_response({"id": "t-9", "bytes": 0})
        return answer

    app = run_app(SLOTS="50", SERVICE_TIME_MS="1", LEDGER_DIR=str(tmp_path))
    async with between(app, mix_up) as url:
        totals, answers = await run(url, plan(sessions=0, post=0))
    assert (totals.failed, totals.mismatches) == (1, 1)
    failed, mixed_up = faults(answers, read_ledgers(tmp_path, "t"))
    assert failed.startswith("1 failed: t-7 in second 0: status 502 after ")
    assert mixed_up == (
        "1 answered with something else: t-8 in second 0: sent t-8 with 0 bytes, answered t-9 with 0"
    )


async def test_a_connection_that_breaks_is_a_failure_and_not_tried_again(run_app: RunApp) -> None:
    seen: list[int] = []

    async def break_one(request: web.Request, forward: Handler) -> web.StreamResponse:
        seen.append(number(request))
        if number(request) == 20:
            assert request.transport
            request.transport.abort()
        return await forward(request)

    async with between(run_app(SERVICE_TIME_MS="1", SLOTS="50"), break_one) as url:
        totals, _ = await run(url, plan(sessions=0))
    assert totals.failed == 1
    assert sorted(seen) == list(range(1, 121))


async def test_the_list_of_targets_is_followed_while_it_changes(run_app: RunApp, tmp_path: Path) -> None:
    first, second = (run_app(SERVICE_TIME_MS="1", SLOTS="50", HOSTNAME=name) for name in ("a", "b"))
    listed = tmp_path / "targets"
    listed.write_text(first.url)
    answers: list[Answer] = []
    traffic = Traffic(plan(seconds=30, slow=0), Targets(f"@{listed}"), lambda _: None, answers.append)
    running = asyncio.create_task(traffic.run())
    await asyncio.to_thread(eventually, lambda: len(answers) > 20, 10, "the first one answers")
    (tmp_path / "new").write_text(second.url)
    (tmp_path / "new").rename(listed)
    await asyncio.to_thread(eventually, lambda: answers[-1].server == "b", 10, "the second one answers")
    traffic.loop.stop()
    totals = await running
    assert totals.failed == 0
    servers = [a.server for a in sorted(answers, key=lambda a: a.t_s)]
    assert servers == sorted(servers)  # once it is off the list, the first one gets nothing


def test_the_command_writes_seconds_totals_and_answers_and_ends_early_when_told(
    run_app: RunApp, tmp_path: Path
) -> None:
    app = run_app(SERVICE_TIME_MS="1", SLOTS="50", LEDGER_DIR=str(tmp_path))
    out, answers = tmp_path / "out", tmp_path / "answers"
    argv = ["--target", app.url, "--rate", "80", "--seconds", "60", "--slow", "0", "--id-prefix", "x"]
    argv += ["--out", str(out), "--answers", str(answers)]
    process = subprocess.Popen([*COMMAND, *argv])
    eventually(lambda: out.exists() and len(out.read_text().splitlines()) > 2, 20, "two lines are there")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    first, *rows, last = map(json.loads, out.read_text().splitlines())
    assert first.keys() == {"started_at_s"}
    assert sum(row["ok"] for row in rows) == last["sent"] == last["ok"] > 0
    assert {"failed": 0, "moved": 0, "forgotten": 0, "mismatches": 0}.items() <= last.items()
    assert len(read_answers(answers)) == last["sent"]
    assert faults(read_answers(answers), read_ledgers(tmp_path, "x")) == []


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        pytest.param("--target", "http://192.0.2.1/", "loopback", id="a target on another machine"),
        pytest.param("--target", "@/nowhere", "/nowhere", id="a list that does not exist"),
        pytest.param("--sessions", "30", "from 0 to 1", id="a share in per cent"),
        pytest.param("--rate", "0", "above 0", id="no request at all"),
    ],
)
def test_what_cannot_be_meant_is_refused(option: str, value: str, hint: str) -> None:
    good = {"--target": "http://127.0.0.1:1/", "--rate": "1", "--seconds": "1", option: value}
    argv = [text for pair in good.items() for text in pair]
    done = subprocess.run([*COMMAND, *argv], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
