"""The load generator: open loop, in a process of its own so that measuring is not disturbed.

    python -m millpond.demo.load --target http://127.0.0.1:8080/ --profile '[[0,12],[30,12],[30,52],[60,52]]'

Requests go out when the profile says so, whether or not earlier ones were answered, and each latency counts
from when its request was *due*: a slow server can't hide by slowing the load down. Bounded all the same: by
the profile, by a timeout per request and by how many may be open (beyond it, arrivals are unsent: failed).

Writes JSON lines: {"started_at_s"} first, then a LoadSecond a second, at the end {"sent", "ok", …} (Totals).
"""

import argparse
import asyncio
import ipaddress
import json
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TextIO
from urllib.parse import urlsplit

import aiohttp

from millpond.clock import now_s
from millpond.demo.profile import ARRIVALS, Profile
from millpond.demo.tally import Outcome, Tally, Totals

Emit = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    target: str
    """http URL on a loopback address."""
    profile: Profile
    host: str | None = None
    """Host header, by which a router chooses the app."""
    arrivals: str = "even"
    seed: int = 0
    timeout_s: float = 30.0
    max_open: int = 5000
    id_prefix: str = "load"
    """X-Request-Id is `<prefix>-<number from 1>`."""

    def __post_init__(self) -> None:
        url = urlsplit(self.target)
        if url.scheme != "http" or not _is_loopback(url.hostname):
            raise ValueError(f"target {self.target!r}: must be http:// on a loopback address, like 127.0.0.1")
        if self.arrivals not in ARRIVALS:
            raise ValueError(f"arrivals {self.arrivals!r}: must be one of {', '.join(ARRIVALS)}")
        if self.timeout_s <= 0 or self.max_open < 1:
            raise ValueError(f"timeout {self.timeout_s} s, {self.max_open} open: must be above 0")


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False  # names are refused too: who knows what they resolve to


class Generator:
    """Runs one plan once; `run` returns the totals, `stop` ends the arrivals early."""

    def __init__(self, plan: LoadPlan, emit: Emit) -> None:
        self._plan = plan
        self._emit = emit
        self._tally = Tally()
        self._open: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> Totals:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout_s)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            self._loop = asyncio.get_running_loop()
            self._zero_s = self._loop.time()
            self._emit(json.dumps({"started_at_s": round(now_s(), 3)}))
            seconds = asyncio.create_task(self._report_seconds())
            await self._send_all(session)
            while self._open:
                await asyncio.wait(self._open)
            self._finished_s = self._now_s()
            await seconds
        totals = self._tally.totals()
        self._emit(totals.to_json())
        return totals

    def _now_s(self) -> float:
        return self._loop.time() - self._zero_s

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        for number, due_s in enumerate(
            self._plan.profile.arrivals_s(self._plan.arrivals, self._plan.seed), 1
        ):
            await self._until(due_s)
            if self._stopping.is_set():
                return
            self._tally.send(due_s)
            if len(self._open) >= self._plan.max_open:
                self._tally.answer(due_s, max(due_s, self._now_s()), Outcome.UNSENT)
                continue
            task = asyncio.create_task(self._request(session, number, due_s))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        await self._until(self._plan.profile.duration_s)

    async def _until(self, due_s: float) -> None:
        delay_s = due_s - self._now_s()
        if delay_s <= 0:
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            pass

    async def _request(self, session: aiohttp.ClientSession, number: int, due_s: float) -> None:
        headers = {"X-Request-Id": f"{self._plan.id_prefix}-{number}"}
        if self._plan.host:
            headers["Host"] = self._plan.host
        try:
            async with session.get(self._plan.target, headers=headers, allow_redirects=False) as response:
                await response.read()
                outcome = Outcome.OK if response.status < 400 else Outcome.HTTP_ERROR
        except TimeoutError:
            outcome = Outcome.TIMEOUT
        except (aiohttp.ClientError, OSError):
            outcome = Outcome.REFUSED
        self._tally.answer(due_s, max(due_s, self._now_s()), outcome)

    async def _report_seconds(self) -> None:
        """One line at the end of each second, until the load is over and every request has its outcome."""
        self._finished_s = float("inf")
        t_s = 0
        while t_s < self._finished_s:
            await asyncio.sleep(max(0.0, t_s + 1 - self._now_s()))
            self._emit(json.dumps(asdict(self._tally.close(t_s))))
            t_s += 1


async def generate(plan: LoadPlan, emit: Emit) -> Totals:
    """Runs the plan to its end (or SIGTERM/SIGINT) and gives the totals; `emit` gets every line."""
    generator = Generator(plan, emit)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, generator.stop)
    return await generator.run()


def _emit_to(*streams: TextIO) -> Emit:
    def emit(line: str) -> None:
        for stream in streams:
            stream.write(line + "\n")
            stream.flush()

    return emit


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m millpond.demo.load", description="Open-loop HTTP load.")
    parser.add_argument("--target", required=True, help="http URL on a loopback address")
    parser.add_argument("--profile", required=True, help="JSON [[t_s, rate_rps], …], or @FILE with it")
    parser.add_argument("--host", help="Host header")
    parser.add_argument("--arrivals", choices=ARRIVALS, default="even")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout-s", type=float, default=30.0)
    parser.add_argument("--max-open", type=int, default=5000)
    parser.add_argument("--id-prefix", default="load")
    parser.add_argument("--out", help="write the lines here instead of to stdout")
    given = parser.parse_args(argv)
    try:
        plan = _plan(given)
    except ValueError as error:
        parser.error(str(error))
    _allow_many_connections()
    out = open(given.out, "w") if given.out else sys.stdout  # noqa: SIM115 (open as long as the process)
    totals = asyncio.run(generate(plan, _emit_to(out)))
    return 0 if totals.failed == 0 else 1


def _plan(given: argparse.Namespace) -> LoadPlan:
    text: str = given.profile
    if text.startswith("@"):
        with open(text[1:]) as file:
            text = file.read()
    return LoadPlan(
        target=given.target,
        profile=Profile.from_json(text),
        host=given.host,
        arrivals=given.arrivals,
        seed=given.seed,
        timeout_s=given.timeout_s,
        max_open=given.max_open,
        id_prefix=given.id_prefix,
    )


if __name__ == "__main__":
    sys.exit(main())
