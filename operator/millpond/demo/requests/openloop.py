"""Open loop: requests go out when the profile says so, whether or not earlier ones were answered.

A slow server can't hide by slowing the load down: each latency counts from when its request was *due*. Bounded all the
same: by the profile and by how many requests may be open (beyond it, arrivals are unsent: failed).
"""

import asyncio
import ipaddress
import json
import resource
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TextIO
from urllib.parse import urlsplit

from millpond.clock import now_s
from millpond.demo.requests.profile import Profile
from millpond.demo.requests.tally import Outcome, Tally, Totals

Emit = Callable[[str], None]
Send = Callable[[int, float], Awaitable[Outcome]]
"""Makes the request of this number (from 1), due at these seconds since the start, and gives its outcome."""


class OpenLoop:
    """Runs one load once. Emits JSON lines: {"started_at_s"}, then a LoadSecond a second."""

    def __init__(
        self,
        profile: Profile,
        send: Send,
        emit: Emit,
        *,
        arrivals: str = "even",
        seed: int = 0,
        max_open: int = 5000,
    ) -> None:
        self._profile, self._send, self._emit = profile, send, emit
        self._arrivals, self._seed, self._max_open = arrivals, seed, max_open
        self._tally = Tally()
        self._open: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._error: BaseException | None = None

    def stop(self) -> None:
        """No more arrivals; what is open is still awaited."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def run(self) -> Totals:
        """Once every request has its outcome. Raises what `send` raised, if it ever did."""
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time()
        self._emit(json.dumps({"started_at_s": round(now_s(), 3)}))
        seconds = asyncio.create_task(self._report_seconds())
        await self._send_all()
        while self._open:
            await asyncio.wait(self._open)
        self._finished_s = self.now_s()
        await seconds
        if self._error is not None:
            raise self._error
        return self._tally.totals()

    def now_s(self) -> float:
        """Seconds since the load began."""
        return self._loop.time() - self._zero_s

    async def _send_all(self) -> None:
        for number, due_s in enumerate(self._profile.arrivals_s(self._arrivals, self._seed), 1):
            await self._until(due_s)
            if self._stopping.is_set():
                return
            self._tally.send(due_s)
            if len(self._open) >= self._max_open:
                self._tally.answer(due_s, max(due_s, self.now_s()), Outcome.UNSENT)
                continue
            task = asyncio.create_task(self._one(number, due_s))
            self._open.add(task)
            task.add_done_callback(self._done)
        await self._until(self._profile.duration_s)

    async def _one(self, number: int, due_s: float) -> None:
        outcome = await self._send(number, due_s)
        self._tally.answer(due_s, max(due_s, self.now_s()), outcome)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self.stop()

    async def _until(self, due_s: float) -> None:
        delay_s = due_s - self.now_s()
        if delay_s <= 0:
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            pass

    async def _report_seconds(self) -> None:
        """One line at the end of each second, until the load is over and every request has its outcome."""
        self._finished_s = float("inf")
        t_s = 0
        while t_s < self._finished_s:
            await asyncio.sleep(max(0.0, t_s + 1 - self.now_s()))
            self._emit(json.dumps(asdict(self._tally.close(t_s))))
            t_s += 1


def check_target(target: str) -> None:
    """Raises ValueError unless it is an http URL on a loopback address."""
    url = urlsplit(target)
    if url.scheme != "http" or not _is_loopback(url.hostname):
        raise ValueError(f"target {target!r}: must be http:// on a loopback address, like 127.0.0.1")


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False  # names are refused too: who knows what they resolve to


def emit_to(*streams: TextIO) -> Emit:
    def emit(line: str) -> None:
        for stream in streams:
            stream.write(line + "\n")
            stream.flush()

    return emit


def allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
