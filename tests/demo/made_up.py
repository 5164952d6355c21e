"""A recording of a run that never was: servers as told, response times from a fluid queue in front of them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from millpond.demo.recording import Decision, Order, Recording, Second
from millpond.demo.requests.profile import Profile
from millpond.demo.requests.tally import Outcome, Totals
from millpond.demo.scenario import Scenario

PROFILE = Profile.steps((10, 12), (20, 52), (20, 130), (30, 12))
SCENARIO = Scenario(
    name="made-up",
    title="Made up",
    manifests=(Path("none"),),
    namespace="shop",
    app="shop",
    host="shop.example",
    goal_ms=300,
    slots=4,
    service_time_ms=100,
    sequence=(1, 2, 4),
    profile=PROFILE,
    images={},
    checks=(),
)
ORDERS = ((0, 1), (11.4, 2), (31.2, 4), (56, 3), (62, 2), (68, 1))
START_S = 2


def seconds(orders: Sequence[tuple[float, int]] = ORDERS, start_s: float = START_S) -> tuple[Second, ...]:
    rows, backlog = [], 0.0
    for t in range(round(PROFILE.duration_s)):
        rate = PROFILE.rate_rps(t)
        ready = _at(orders, t, start_s)
        backlog = max(0.0, backlog + rate - ready * SCENARIO.server_capacity_rps)
        rows.append(
            Second(
                t_s=t,
                rate_rps=rate,
                response_ms=100 + backlog / (ready * SCENARIO.server_capacity_rps) * 1000,
                open=round(backlog + rate / 10),
                servers_ready=ready,
                servers_desired=_at(orders, t + 1, 0),
            )
        )
    return tuple(rows)


def _at(orders: Sequence[tuple[float, int]], t_s: float, start_s: float) -> int:
    """Servers that stand at t_s when each addition takes start_s to take effect."""
    return [n for at, n in orders if at + (start_s if at else 0) <= t_s][-1]


def recording(
    orders: Sequence[tuple[float, int]] = ORDERS,
    *,
    start_s: float = START_S,
    needed: int | None = None,
    failed: int = 0,
    unseen: int = 0,
) -> Recording:
    """`needed`: what every decision says is needed (default: what was ordered)."""
    rows = seconds(orders, start_s)
    sent = round(sum(row.rate_rps for row in rows))
    rises = [(t, n) for (_, before), (t, n) in pairwise(orders) if n > before]
    return Recording(
        scenario="made-up",
        seconds=rows,
        orders=tuple(Order(t_s=t, servers=n) for t, n in orders),
        decisions=tuple(
            Decision(
                t_s=float(int(t)),
                action="Grow",
                reason="BacklogUnexplained",
                servers=n - 1,
                wanted=n,
                needed=n if needed is None else needed,
                message=f"order {n}",
                inputs={"rate_rps": "52"},
            )
            for t, n in rises
        ),
        requests=Totals(sent=sent, outcomes={Outcome.OK: sent - failed, Outcome.TIMEOUT: failed}),
        routed=sent - unseen,
    )


def silent(run: Recording, since_s: int) -> Recording:
    """The same run, with no answer to any request from then on."""
    rows = (replace(row, response_ms=None) if row.t_s >= since_s else row for row in run.seconds)
    return replace(run, seconds=tuple(rows))
