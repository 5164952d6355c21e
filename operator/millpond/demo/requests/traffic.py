"""Traffic as an application has it: users with sessions beside others, slow requests, bodies. Open loop.

    python -m millpond.demo.requests.traffic --target http://127.0.0.1:8080/ --rate 300 --seconds 60 \\
        --sessions 0.3 --slow 0.02 --post 0.1 --out FILE --answers FILE

For the sample application. Writes the JSON lines of load.py, the last one with more counts (TrafficTotals), and what
became of each request (Answer) to `--answers`. With `--target @FILE` the targets are the lines of that file, looked at
before each request: as a load balancer's list. Ends with 1 when a request failed or a session changed its edition.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from millpond.demo.requests.answers import Answer, TrafficTotals
from millpond.demo.requests.openloop import Emit, OpenLoop, allow_many_connections, emit_to
from millpond.demo.requests.profile import Profile
from millpond.demo.requests.tally import Outcome
from millpond.demo.requests.targets import Targets
from millpond.demo.requests.visitors import Visitor, Visitors

_ID_HEADER = "X-Client-Request-Id"  # routers replace X-Request-Id by an id of their own
_SESSION_PATH = "/session"
_MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPlan:
    rate_rps: float
    seconds: float
    host: str | None = None
    sessions: float = 0.3
    """Share of the requests that are visits of users with a session."""
    session_s: float = 20.0
    slow: float = 0.02
    """Share of the requests that take `slow_ms`."""
    slow_ms: int = 3000
    post: float = 0.1
    """Share of the requests that have a body."""
    seed: int = 0
    timeout_s: float = 30.0
    max_open: int = 5000
    id_prefix: str = "t"

    def __post_init__(self) -> None:
        for name in ("sessions", "slow", "post"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: a share is from 0 to 1")
        for name in ("rate_rps", "seconds", "session_s", "timeout_s", "max_open"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)}: must be above 0")


class Traffic:
    """Runs one plan once; `answer` gets what became of each request."""

    def __init__(
        self, plan: TrafficPlan, targets: Targets, emit: Emit, answer: Callable[[Answer], None]
    ) -> None:
        self._plan, self._targets, self._emit, self._answer = plan, targets, emit, answer
        self._source = random.Random(plan.seed)
        self._visitors = Visitors(plan.session_s, plan.seed)
        self._mismatches = 0
        profile = Profile.steps((plan.seconds, plan.rate_rps))
        self.loop = OpenLoop(profile, self._send, emit, max_open=plan.max_open)

    async def run(self) -> TrafficTotals:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout_s)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._session:
            self._session._retry_connection = False  # a connection that breaks is a failure, not tried again
            sums = await self.loop.run()
        totals = TrafficTotals(
            sent=sums.sent,
            outcomes=sums.outcomes,
            sessions=len(self._visitors.all),
            moved=sum(v.moved for v in self._visitors.all),
            forgotten=sum(v.forgotten > 0 for v in self._visitors.all),
            mismatches=self._mismatches,
        )
        self._emit(totals.to_json())
        return totals

    def _chance(self, share: float) -> bool:
        return self._source.random() < share

    async def _send(self, number: int, due_s: float) -> Outcome:
        visitor = self._visitors.next(self.loop.now_s()) if self._chance(self._plan.sessions) else None
        slow = f"?ms={self._plan.slow_ms}" if self._chance(self._plan.slow) else ""
        body = self._source.randrange(1, _MAX_BODY) if self._chance(self._plan.post) else None
        path = (_SESSION_PATH if visitor else "/") + slow
        answer = await self._answer_of(number, due_s, path, body, visitor)
        if visitor:
            self._visitors.back(visitor, self.loop.now_s())
        self._mismatches += bool(answer.mismatch)
        self._answer(answer)
        return answer.outcome

    async def _answer_of(
        self, number: int, due_s: float, path: str, body: int | None, visitor: Visitor | None
    ) -> Answer:
        id, target = f"{self._plan.id_prefix}-{number}", self._targets.next(number)
        found: dict[str, Any] = {}
        try:
            try:
                found = await self._request(target + path, id, body, visitor)
            except (
                aiohttp.ClientConnectorError
            ):  # nothing was sent; as a balancer: is it off the list by now?
                if (other := self._targets.next(number)) == target:
                    raise
                found = await self._request(other + path, id, body, visitor)
        except TimeoutError:
            found["outcome"] = Outcome.TIMEOUT
        except (aiohttp.ClientError, OSError):
            found["outcome"] = Outcome.REFUSED
        took_s = round(self.loop.now_s() - due_s, 3)
        session = visitor.name if visitor else ""
        return Answer(id=id, t_s=round(due_s, 3), took_s=took_s, session=session, **found)

    async def _request(self, url: str, id: str, body: int | None, visitor: Visitor | None) -> dict[str, Any]:
        method, data = ("GET", None) if body is None else ("POST", bytes(body))
        headers = self._headers(id, visitor)
        async with self._session.request(
            method, url, headers=headers, data=data, allow_redirects=False
        ) as response:
            return _answered(id, response, await response.read(), body or 0, visitor)

    def _headers(self, id: str, visitor: Visitor | None) -> dict[str, str]:
        headers = {_ID_HEADER: id}
        if self._plan.host:
            headers["Host"] = self._plan.host
        if visitor and visitor.cookies:
            headers["Cookie"] = visitor.cookie_header
        return headers


def _answered(
    id: str, response: aiohttp.ClientResponse, text: bytes, sent: int, visitor: Visitor | None
) -> dict[str, Any]:
    """The fields of the Answer that its response tells."""
    good = 200 <= response.status < 300
    edition, forgotten = response.headers.get("X-Edition", ""), False
    if visitor and good:
        visitor.keep(response.cookies)
        forgotten = visitor.saw(edition, int(response.headers.get("X-Visits", "0")))
    return {
        "outcome": Outcome.OK if good else Outcome.HTTP_ERROR,
        "status": response.status,
        "server": response.headers.get("X-Server", ""),
        "edition": edition,
        "forgotten": forgotten,
        "mismatch": _mismatch(text, id, sent) if good else "",
    }


def _mismatch(text: bytes, id: str, sent: int) -> str:
    try:
        answer = json.loads(text)
        got = (answer["id"], answer["bytes"])
    except (ValueError, TypeError, KeyError):
        return f"not an answer of the sample application: {text[:80]!r}"
    return "" if got == (id, sent) else f"sent {id} with {sent} bytes, answered {got[0]} with {got[1]}"


async def generate(
    plan: TrafficPlan, targets: Targets, emit: Emit, answer: Callable[[Answer], None]
) -> TrafficTotals:
    """Runs the plan to its end (or SIGTERM/SIGINT) and gives the totals."""
    traffic = Traffic(plan, targets, emit, answer)
    traffic.loop.stop_on_signals()
    return await traffic.run()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m millpond.demo.requests.traffic", description="Open-loop traffic with sessions."
    )
    parser.add_argument("--target", required=True, help="http URL on a loopback address, or @FILE with them")
    parser.add_argument("--host", help="Host header")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--sessions", type=float, default=0.3, help="share with a session")
    parser.add_argument(
        "--session-s", type=float, default=20.0, help="a session lasts half of it to all of it"
    )
    parser.add_argument("--slow", type=float, default=0.02, help="share that takes --slow-ms")
    parser.add_argument("--slow-ms", type=int, default=3000)
    parser.add_argument("--post", type=float, default=0.1, help="share with a body")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout-s", type=float, default=30.0)
    parser.add_argument("--id-prefix", default="t")
    parser.add_argument("--out", help="write the lines here instead of to stdout")
    parser.add_argument("--answers", default="/dev/null", help="one line for each request goes here")
    given = parser.parse_args(argv)
    try:
        plan, targets = _plan(given), Targets(given.target)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    allow_many_connections()
    out = open(given.out, "w") if given.out else sys.stdout  # noqa: SIM115 (open as long as the process)
    with open(given.answers, "w") as file:
        write = emit_to(file)
        totals = asyncio.run(generate(plan, targets, emit_to(out), lambda answer: write(answer.to_json())))
    return 0 if totals.sound else 1


def _plan(given: argparse.Namespace) -> TrafficPlan:
    return TrafficPlan(
        rate_rps=given.rate,
        seconds=given.seconds,
        host=given.host,
        sessions=given.sessions,
        session_s=given.session_s,
        slow=given.slow,
        slow_ms=given.slow_ms,
        post=given.post,
        seed=given.seed,
        timeout_s=given.timeout_s,
        id_prefix=given.id_prefix,
    )


if __name__ == "__main__":
    sys.exit(main())
