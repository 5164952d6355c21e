"""Whatever Prometheus does, an answer or a PromError comes within the deadline, in bounded memory and threads."""

import asyncio
import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from millpond.prom.errors import PromError, PromRejected, PromUnavailable
from millpond.prom.reader import PromReader

from prom import hostile
from prom.hostile import answers, result, vector
from waiting import eventually_async

LONG_S = 30.0


async def ask(url: str, **settings: float) -> object:
    reader = PromReader(url, **settings)  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(LONG_S):
            return [s.value for s in await reader.query("up")]
    finally:
        await reader.close()


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(hostile.hangs, id="never says a word"),
        pytest.param(hostile.drips_head, id="a head that drips for ever"),
        pytest.param(hostile.drips_body, id="a body that drips for ever"),
    ],
)
async def test_the_deadline_is_for_the_whole_answer(behaviour: hostile.Behaviour) -> None:
    async with hostile.hostile(behaviour) as url:
        with pytest.raises(PromUnavailable, match=r"in time|within"):
            await ask(url, deadline_s=0.4)
        await eventually_async(lambda: not threads(), 10, "the thread is freed, the server still hangs")


async def test_a_tls_handshake_that_never_ends_is_cut() -> None:
    async with hostile.hostile(hostile.hangs) as url:
        with pytest.raises(PromUnavailable, match=r"in time|within"):
            await ask(url.replace("http:", "https:"), deadline_s=0.4)
        await eventually_async(lambda: not threads(), 10, "the thread is freed")


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        pytest.param(answers("oops", "500 Internal Server Error"), "HTTP 500: b'oops'", id="500"),
        pytest.param(answers('{"error":"timed out"}', "503 Unavailable"), "HTTP 503: timed out", id="503"),
        pytest.param(answers("", "404 Not Found"), "HTTP 404", id="not a Prometheus at all"),
        pytest.param(answers("", "401 Unauthorized"), "denies access", id="no credentials"),
        pytest.param(answers("", "302 Found", "Location: http://127.0.0.1:9/"), "redirects", id="redirect"),
        pytest.param(answers("", "200 OK"), "something else than JSON", id="empty body"),
        pytest.param(answers("<html>"), "something else than JSON", id="a login page"),
        pytest.param(answers("[" * 100_000), "something else than JSON", id="JSON nested without end"),
        pytest.param(
            answers('{"status":"error","error":"x"}'), "something else", id="an error body with 200"
        ),
        pytest.param(answers('{"data":null}'), "something else", id="no data"),
        pytest.param(answers("null"), "something else", id="null"),
        pytest.param(answers(b"\xff\xfe{}"), "something else", id="not UTF-8"),
        pytest.param(answers(result(None)), "unexpected form", id="no result"),
        pytest.param(answers(result([1])), "unexpected form", id="numbers for series"),
        pytest.param(answers(result([{"metric": 1, "value": [1, "1"]}])), "unexpected form", id="odd labels"),
        pytest.param(answers(result([{"metric": {}, "value": "1"}])), "unexpected form", id="a bare value"),
        pytest.param(answers(vector("many")), "unexpected form", id="text for a number"),
        pytest.param(answers(vector(10**400)), "unexpected form", id="a number without end"),
        pytest.param(answers(b"x" * 10_000_000), "more than 8388608 bytes", id="10 MB"),
        pytest.param(hostile.never_ends, "more than 8388608 bytes", id="a body without end"),
        pytest.param(answers("x", "200 OK", "Content-Encoding: gzip"), "compressed", id="a compressed bomb"),
        pytest.param(hostile.hangs_up, "can't be reached", id="hangs up"),
        pytest.param(answers(vector("1", warnings=["store x down"])), "store x down", id="a partial result"),
    ],
)
async def test_a_useless_answer_is_unavailable_and_says_why(behaviour: hostile.Behaviour, says: str) -> None:
    async with hostile.hostile(behaviour) as url:
        with pytest.raises(PromUnavailable, match=says):
            await ask(url)


async def test_nobody_listening_is_unavailable_at_once() -> None:
    async with hostile.hostile(hostile.hangs) as url:
        pass
    with pytest.raises(PromUnavailable, match="can't be reached: ConnectionRefusedError"):
        await ask(url, deadline_s=LONG_S)


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity"])
async def test_a_query_that_prometheus_refuses_is_rejected_with_its_words(status: str) -> None:
    async with hostile.hostile(answers('{"status":"error","error":"parse error: x"}', status)) as url:
        with pytest.raises(PromRejected, match="parse error: x"):
            await ask(url)


@pytest.mark.parametrize(
    ("body", "values"),
    [
        pytest.param(vector(), [], id="no series: empty"),
        pytest.param(vector("NaN", "+Inf", "-Inf", "1.5"), [1.5], id="what is not a number is left out"),
        pytest.param(
            vector("1e308", "-2"), [1e308, -2.0], id="absurd numbers are left to who knows the unit"
        ),
        pytest.param(result([1.0, "2.5"]), [2.5], id="a scalar is one series without labels"),
        pytest.param(result([{"metric": {}, "histogram": [1, {}]}]), [], id="native histograms are left out"),
        pytest.param(vector("1", warnings=["PromQL info: x"]), [1.0], id="a hint is no partial result"),
        pytest.param(vector("1", warnings=[]), [1.0], id="no warnings"),
    ],
)
async def test_series_are_those_with_a_number(body: str, values: list[float]) -> None:
    async with hostile.hostile(answers(body)) as url:
        assert await ask(url) == values


async def test_a_large_answer_costs_bounded_memory() -> None:
    async with hostile.hostile(hostile.never_ends) as url:
        tracemalloc.start()
        try:
            with pytest.raises(PromUnavailable):
                await ask(url)
            assert tracemalloc.get_traced_memory()[1] < 4 * 8 * 1024 * 1024
        finally:
            tracemalloc.stop()


async def test_while_nobody_answers_questions_fail_at_once_and_threads_do_not_pile_up() -> None:
    async with hostile.hostile(hostile.hangs) as url:
        reader = PromReader(url, deadline_s=0.5)
        first = await asyncio.gather(*(reader.query("up") for _ in range(50)), return_exceptions=True)
        most = threads()
        started_s = time.monotonic()
        later = await asyncio.gather(*(reader.query("up") for _ in range(500)), return_exceptions=True)
        took_s = time.monotonic() - started_s
        await reader.close()
    assert all(isinstance(e, PromUnavailable) for e in first + later)
    assert most <= 4
    assert took_s < 500 * 0.5 / 4
    assert all("not asked again yet" in str(e) for e in later)


async def test_one_useless_answer_does_not_keep_others_from_asking() -> None:
    bodies = iter(["<html>", vector("1")])

    async def behave(writer: asyncio.StreamWriter) -> None:
        await answers(next(bodies))(writer)

    async with hostile.hostile(behave) as url:
        reader = PromReader(url)
        with pytest.raises(PromUnavailable):
            await reader.query("up")
        assert [s.value for s in await reader.query("up")] == [1.0]
        await reader.close()


async def test_a_prometheus_that_comes_back_is_used_again() -> None:
    hung = asyncio.Event()

    async def behave(writer: asyncio.StreamWriter) -> None:
        if not hung.is_set():
            hung.set()
            await hostile.hangs(writer)
        await answers(vector("1"))(writer)

    async with hostile.hostile(behave) as url:
        reader = PromReader(url, deadline_s=0.3)
        with pytest.raises(PromUnavailable):
            await reader.query("up")

        async def answered() -> bool:
            try:
                return bool(await reader.query("up"))
            except PromError:
                return False

        await eventually_async(answered, 15, "asked again after a rest, and answered")
        await reader.close()


async def test_cancelling_a_question_frees_its_connection() -> None:
    async with hostile.hostile(hostile.hangs) as url:
        reader = PromReader(url, deadline_s=LONG_S, connections=1)
        for _ in range(3):
            asked = asyncio.create_task(reader.query("up"))
            await eventually_async(lambda: reader._busy, 10, "the question is under way")
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await eventually_async(lambda: not reader._busy, 10, "the connection is free again")
        await reader.close()


async def test_more_questions_than_connections_wait_for_their_turn() -> None:
    async with hostile.hostile(answers(vector("1"))) as url:
        reader = PromReader(url, connections=2)
        found = await asyncio.gather(*(reader.query("up") for _ in range(100)))
        assert [len(series) for series in found] == [1] * 100
        assert threads() <= 2
        await reader.close()
    await eventually_async(lambda: not threads(), 10, "closing ends the threads")
    with pytest.raises(PromUnavailable, match="closed"):
        await reader.query("up")


@pytest.mark.parametrize("url", ["", "localhost:9090", "file:///etc/passwd", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be http"):
        PromReader(url)


async def test_a_stuck_question_does_not_hold_the_end_of_the_process() -> None:
    program = (
        "import asyncio, sys\nfrom millpond.prom.reader import PromReader\n"
        "async def main():\n"
        "    asyncio.create_task(PromReader(sys.argv[1], deadline_s=60).query('up'))\n"
        "    await asyncio.sleep(0.3)\n"
        "asyncio.run(main())\n"
    )
    async with hostile.hostile(hostile.hangs) as url:
        ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, url], timeout=30)
    assert ended.returncode == 0


def test_the_library_comes_without_data_frames() -> None:
    program = (
        "import sys, millpond.prom.response; print(*{'pandas', 'numpy', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def threads() -> int:
    return sum(t.name == "prometheus" for t in threading.enumerate())
