"""The load generator: open loop, in a process of its own so that measuring is not disturbed.

    python -m millpond.demo.requests.load --target http://127.0.0.1:8080/ --profile '[[0,12],[30,12],[30,52],[60,52]]'

Requests go out when the profile says so (openloop.py), each with a timeout. Writes JSON lines: {"started_at_s"} first,
then a LoadSecond a second, at the end {"sent", "ok", …} (Totals). traffic.py is the same with sessions and bodies.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

import aiohttp

from millpond.demo.requests.openloop import Emit, OpenLoop, allow_many_connections, check_target, emit_to
from millpond.demo.requests.profile import ARRIVALS, Profile
from millpond.demo.requests.tally import Outcome, Totals


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
        check_target(self.target)
        if self.arrivals not in ARRIVALS:
            raise ValueError(f"arrivals {self.arrivals!r}: must be one of {', '.join(ARRIVALS)}")
        if self.timeout_s <= 0 or self.max_open < 1:
            raise ValueError(f"timeout {self.timeout_s} s, {self.max_open} open: must be above 0")


class Generator:
    """Runs one plan once; `run` returns the totals, `stop` ends the arrivals early."""

    def __init__(self, plan: LoadPlan, emit: Emit) -> None:
        self._plan = plan
        self._emit = emit
        self.loop = OpenLoop(
            plan.profile,
            self._request,
            emit,
            arrivals=plan.arrivals,
            seed=plan.seed,
            max_open=plan.max_open,
        )

    def stop(self) -> None:
        self.loop.stop()

    async def run(self) -> Totals:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout_s)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._session:
            totals = await self.loop.run()
        self._emit(totals.to_json())
        return totals

    async def _request(self, number: int, due_s: float) -> Outcome:
        headers = {"X-Request-Id": f"{self._plan.id_prefix}-{number}"}
        if self._plan.host:
            headers["Host"] = self._plan.host
        try:
            async with self._session.get(
                self._plan.target, headers=headers, allow_redirects=False
            ) as response:
                await response.read()
                return Outcome.OK if response.status < 400 else Outcome.HTTP_ERROR
        except TimeoutError:
            return Outcome.TIMEOUT
        except (aiohttp.ClientError, OSError):
            return Outcome.REFUSED


async def generate(plan: LoadPlan, emit: Emit) -> Totals:
    """Runs the plan to its end (or SIGTERM/SIGINT) and gives the totals; `emit` gets every line."""
    generator = Generator(plan, emit)
    generator.loop.stop_on_signals()
    return await generator.run()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m millpond.demo.requests.load", description="Open-loop HTTP load."
    )
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
    allow_many_connections()
    out = open(given.out, "w") if given.out else sys.stdout  # noqa: SIM115 (open as long as the process)
    totals = asyncio.run(generate(plan, emit_to(out)))
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
