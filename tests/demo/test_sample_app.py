"""The sample app queues like an application server, remembers what it did, and leaves politely."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import httpx
import pytest

import asking
from .conftest import APP, RunningApp, gauges, status
from waiting import eventually

RunApp = Callable[..., RunningApp]


async def get_json(session: aiohttp.ClientSession, url: str, **headers: str) -> dict[str, object]:
    async with session.get(url, headers=headers) as answer:
        body: dict[str, object] = await answer.json()
        return body


async def wait_for_gauge(session: aiohttp.ClientSession, app: RunningApp, name: str, value: float) -> None:
    deadline = time.monotonic() + 10
    while (seen := (await gauges(session, app))[name]) != value:
        assert time.monotonic() < deadline, f"{name} is {seen}, not {value}"
        await asyncio.sleep(0.01)


async def wait_for_arrivals(session: aiohttp.ClientSession, app: RunningApp, requests: int) -> None:
    async def arrived() -> float:
        seen = await gauges(session, app)
        return seen["shop_working"] + seen["shop_waiting"] + seen.get('shop_requests_total{code="200"}', 0)

    deadline = time.monotonic() + 10
    while (seen := await arrived()) < requests:
        assert time.monotonic() < deadline, f"{seen} requests have arrived, not {requests}"
        await asyncio.sleep(0.01)


async def test_work_beyond_the_slots_waits_and_is_served_in_the_order_of_arrival(run_app: RunApp) -> None:
    app = run_app(SLOTS="1", SERVICE_TIME_MS="60")
    finished: list[int] = []

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        await get_json(session, f"{app.url}/")
        finished.append(number)

    async with aiohttp.ClientSession() as session:
        tasks = []
        for number in range(6):
            tasks.append(asyncio.create_task(one(session, number)))
            await wait_for_arrivals(session, app, number + 1)
        await asyncio.gather(*tasks)
    assert finished == list(range(6))


async def test_never_more_work_at_the_same_time_than_there_are_slots(run_app: RunApp) -> None:
    app = run_app(SLOTS="3", SERVICE_TIME_MS="400")
    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(get_json(session, f"{app.url}/")) for _ in range(5)]
        await wait_for_gauge(session, app, "shop_waiting", 2)
        assert (await gauges(session, app))["shop_working"] == 3
        await asyncio.gather(*tasks)


async def test_sigterm_finishes_running_and_queued_work_and_refuses_what_is_new(run_app: RunApp) -> None:
    app = run_app(SLOTS="1", SERVICE_TIME_MS="300")
    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(get_json(session, f"{app.url}/")) for _ in range(3)]
        await wait_for_gauge(session, app, "shop_waiting", 2)
        app.terminate()
        await asyncio.to_thread(
            eventually, lambda: status(f"{app.url}/") is None, 5, "new connections are refused"
        )
        assert app.process.poll() is None
        assert len(await asyncio.gather(*tasks)) == 3
    assert await asyncio.to_thread(app.process.wait, 10) == 0


async def test_the_ledger_counts_every_request_id_and_tells_duplicates(run_app: RunApp) -> None:
    app = run_app(SERVICE_TIME_MS="1")
    async with aiohttp.ClientSession() as session:
        for request_id in ("a", "b", "a"):
            await get_json(session, f"{app.url}/", **{"X-Request-Id": request_id})
        await get_json(session, f"{app.url}/")
        ledger = await get_json(session, f"{app.url}/ledger?ids=1")
        single = await get_json(session, f"{app.url}/ledger?id=a")
        own = {"X-Client-Request-Id": "mine", "X-Request-Id": "the router's"}
        assert (await get_json(session, f"{app.url}/", **own))["id"] == "mine"
    ledger.pop("server")
    assert ledger == {"total": 4, "ids": 2, "duplicates": 1, "without_id": 1, "counts": {"a": 2, "b": 1}}
    assert single == {"count": 2}


async def test_a_session_counts_the_visits_of_one_caller_and_not_of_another(run_app: RunApp) -> None:
    app = run_app(SERVICE_TIME_MS="1")

    async def visits(jar: aiohttp.CookieJar) -> list[str]:
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            seen = []
            for _ in range(2):
                async with session.get(f"{app.url}/session") as answer:
                    seen.append(answer.headers["X-Visits"])
            return seen

    assert await visits(aiohttp.CookieJar(unsafe=True)) == ["1", "2"]
    assert await visits(aiohttp.CookieJar(unsafe=True)) == ["1", "2"]


def test_during_the_start_delay_the_process_is_alive_but_not_ready(run_app: RunApp) -> None:
    app = run_app(wait=False, START_DELAY_S="1")
    eventually(lambda: status(f"{app.url}/healthz") == 200, 20, "alive")
    assert status(f"{app.url}/readyz") == 503
    assert status(f"{app.url}/") == 503
    app.wait_ready()
    assert status(f"{app.url}/") == 200


async def test_work_takes_longer_while_warming_up(run_app: RunApp) -> None:
    app = run_app(WARMUP_S="60", WARMUP_FACTOR="40", SERVICE_TIME_MS="10")
    async with aiohttp.ClientSession() as session:
        began = time.monotonic()
        await get_json(session, f"{app.url}/")
    assert time.monotonic() - began >= 0.4


def test_an_error_ratio_of_one_fails_everything_but_the_probes(run_app: RunApp) -> None:
    app = run_app(ERROR_RATIO="1", SERVICE_TIME_MS="1")
    assert status(f"{app.url}/") == 500
    assert status(f"{app.url}/healthz") == 200


async def test_every_request_leaves_the_leak_behind(run_app: RunApp) -> None:
    app = run_app(LEAK_BYTES_PER_REQUEST="1000", SERVICE_TIME_MS="1")
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            await get_json(session, f"{app.url}/")
        assert (await gauges(session, app))["shop_leaked_bytes"] == 3000


async def test_in_mode_cpu_work_uses_the_cpu_and_probes_are_answered_meanwhile(run_app: RunApp) -> None:
    app = run_app(MODE="cpu", SERVICE_TIME_MS="200")
    async with aiohttp.ClientSession() as session:
        task = asyncio.create_task(get_json(session, f"{app.url}/"))
        await wait_for_gauge(session, app, "shop_working", 1)
        assert (await gauges(session, app))["shop_ready"] == 1
        await task
    clock_ticks = os.sysconf("SC_CLK_TCK")
    used = Path(f"/proc/{app.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()[11]
    assert int(used) / clock_ticks >= 0.2


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        pytest.param("MODE", "gpu", "must be one of wait, cpu", id="a mode that does not exist"),
        pytest.param("SLOTS", "0", "from 1 to 1000", id="no slot at all"),
        pytest.param("SLOTS", "2.5", "whole number", id="half a slot"),
        pytest.param("SERVICE_TIME_MS", "100ms", "must be a number", id="a number with its unit"),
        pytest.param("ERROR_RATIO", "nan", "from 0 to 1", id="a ratio that is not a number"),
        pytest.param("ERROR_RATIO", "5", "from 0 to 1", id="a ratio in per cent"),
        pytest.param("PORT", "99999", "from 1 to 65535", id="a port that does not exist"),
        pytest.param("WARMUP_S", "-1", "from 0 to 3600", id="a negative time"),
        pytest.param("LEAK_BYTES_PER_REQUEST", "1e99", "from 0", id="a leak beyond any memory"),
        pytest.param("EDITION", "v 1", "letters, digits", id="an edition that cannot be a header's value"),
        pytest.param("LEDGER_DIR", "/nowhere", "folder that exists", id="a folder that does not exist"),
        pytest.param("LEDGER_DIR", str(APP), "folder that exists", id="a file instead of a folder"),
    ],
)
def test_a_bad_setting_ends_the_process_with_a_message_that_names_it(
    name: str, value: str, hint: str
) -> None:
    run = subprocess.run(
        [sys.executable, str(APP)], env={name: value}, capture_output=True, text=True, timeout=20, check=False
    )
    assert run.returncode == 1
    assert name in run.stderr
    assert value in run.stderr
    assert hint in run.stderr
    assert "Traceback" not in run.stderr


async def test_a_request_says_how_long_it_takes(run_app: RunApp) -> None:
    app = run_app(SLOTS="1", SERVICE_TIME_MS="60000")
    async with aiohttp.ClientSession() as session:
        began = time.monotonic()
        slow = asyncio.create_task(get_json(session, f"{app.url}/?ms=400"))
        await wait_for_gauge(session, app, "shop_working", 1)
        await get_json(session, f"{app.url}/session?ms=1")
        assert time.monotonic() - began >= 0.4  # it waited for the only slot
        await slow


@pytest.mark.parametrize("path", ["/?ms=soon", "/?ms=-1", "/session?ms=1e9", "/stream?s=x"])
def test_a_time_that_is_none_is_refused_and_named(run_app: RunApp, path: str) -> None:
    app = run_app()
    answer = asking.get(app.url + path)
    assert answer.status_code == 400
    assert path.partition("?")[2].partition("=")[2] in answer.json()["error"]
    assert asking.get(f"{app.url}/ledger").json()["total"] == 0


def test_bodies_are_counted_whatever_their_size(run_app: RunApp) -> None:
    app = run_app(SERVICE_TIME_MS="1")
    for path in ("/", "/session"):
        for size in (0, 1, 3_000_000):
            assert httpx.post(app.url + path, content=bytes(size)).json()["bytes"] == size


def test_every_answer_says_the_edition(run_app: RunApp) -> None:
    named, unnamed = run_app(EDITION="v2", ERROR_RATIO="1", SERVICE_TIME_MS="1"), run_app(SERVICE_TIME_MS="1")
    assert asking.get(named.url).headers["X-Edition"] == "v2"
    assert asking.get(unnamed.url).headers["X-Edition"] == ""


def test_the_ledger_file_outlives_a_server_that_is_killed_and_has_what_it_had_half_done(
    run_app: RunApp, tmp_path: Path
) -> None:
    app = run_app(SERVICE_TIME_MS="1", HOSTNAME="shop-1", LEDGER_DIR=str(tmp_path))
    for id in ("a", "b", "a"):
        asking.get(app.url, headers={"X-Request-Id": id})
    (file,) = tmp_path.iterdir()
    with socket.create_connection(("127.0.0.1", int(app.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /?ms=60000 HTTP/1.1\r\nHost: shop\r\nX-Request-Id: half\r\n\r\n")
        eventually(lambda: "half" in file.read_text(), 10, "the slow request is entered")
        app.process.kill()
        app.process.wait()
    assert file.name == f"shop-1-{app.process.pid}.log"
    assert file.read_text().splitlines() == ["a", "b", "a", "half"]
