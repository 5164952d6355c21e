"""What must be true of a run. Each check is a pure function of the scenario and the recording.

*Sustained excess* of the goal: three seconds in a row whose average response is above it; it counts from the end of
the third. *Back within the goal*: the first of three seconds in a row whose average is not above it.
"""

import math
from collections.abc import Sequence

from millpond.demo.recording import Order, Recording, Second
from millpond.demo.scenario import Check, Scenario

SUSTAINED_S = 3
DECISION_S = 3.0
SETTLING_S = 5.0

Checks = tuple[Check, ...]


def sequence(scenario: Scenario, run: Recording) -> Checks:
    """Up in exactly the scenario's steps, never up again after the first way down, and back to the start."""
    ordered = [order.servers for order in run.orders]
    top = ordered.index(max(ordered)) if ordered else 0
    up, down = ordered[: top + 1], ordered[top:]
    start = scenario.sequence[0]
    good = tuple(up) == scenario.sequence and down == sorted(down, reverse=True) and down[-1] == start
    goal = " → ".join(map(str, scenario.sequence))
    return (
        Check(
            name=f"Servers are ordered {goal} and back to {start}",
            passed=good,
            measured=" → ".join(map(str, ordered)) or "no order seen",
            goal=f"{goal} → … → {start}",
        ),
    )


def first_server_in_time(scenario: Scenario, run: Recording) -> Checks:
    """The first server is ordered at or before the end of the first sustained excess."""
    excess_s = sustained_excess_s(run.seconds, scenario.goal_ms)
    order = next((after for _, after in run.rises()), None)
    limit = "no later than the first sustained excess of the goal"
    exceeded = "no sustained excess" if excess_s is None else f"sustained excess at {excess_s:.0f} s"
    return (
        Check(
            name="One server more at or before the first sustained excess",
            passed=order is not None and (excess_s is None or order.t_s <= excess_s),
            measured=f"ordered at {order.t_s:.1f} s, {exceeded}" if order else f"never ordered, {exceeded}",
            goal=f"{limit} ({SUSTAINED_S} s in a row)",
        ),
    )


def decided_quickly(scenario: Scenario, run: Recording) -> Checks:
    """After each step that the ordered servers can't carry: an order, counted from the end of its first second."""
    return tuple(
        _decision(step_s, rate, run)
        for step_s, before, rate in scenario.profile.jumps()
        if rate > before and math.ceil(rate / scenario.server_capacity_rps) > _ordered_at(run.orders, step_s)
    )


def _decision(step_s: float, rate: float, run: Recording) -> Check:
    took_s = next((after.t_s - step_s - 1 for _, after in run.rises() if after.t_s >= step_s), None)
    return Check(
        name=f"Decision after the step to {rate:.0f} requests/s",
        passed=took_s is not None and took_s <= DECISION_S,
        measured="none" if took_s is None else f"{took_s:+.1f} s from the end of the step's first second",
        goal=f"within {DECISION_S:.0f} s",
    )


def recovered_after_each_rise(scenario: Scenario, run: Recording) -> Checks:
    """Back within the goal by 5 s + backlog ÷ spare capacity after the ordered servers became ready."""
    return tuple(_recovery(scenario, run, before, after) for before, after in run.rises())


def _recovery(scenario: Scenario, run: Recording, before: Order, after: Order) -> Check:
    name = f"Average is back within {scenario.goal_ms:.0f} ms after {before.servers} → {after.servers}"
    ready = next(
        (s for s in run.seconds if s.t_s >= after.t_s - 1 and s.servers_ready >= after.servers), None
    )
    if ready is None:
        return Check(name=name, passed=False, measured="they never became ready", goal="they become ready")
    allowed_s = SETTLING_S + _catch_up_s(scenario, ready)
    back_s = _back_within_s([s for s in run.seconds if s.t_s >= ready.t_s], scenario.goal_ms)
    took_s = None if back_s is None else back_s - ready.t_s
    return Check(
        name=name,
        passed=took_s is not None and took_s <= allowed_s,
        measured="never" if took_s is None else f"{took_s:.0f} s after they were ready",
        goal=f"within {allowed_s:.1f} s",
    )


def _catch_up_s(scenario: Scenario, at: Second) -> float:
    """Backlog ÷ spare capacity, at the end of this second. Infinite when there is nothing to spare.

    90 open at 52 requests/s and 100 ms each: 5 are being served, 85 wait; 2 servers of 40/s spare 28/s -> 3 s.
    """
    backlog = max(0.0, at.open - at.rate_rps * scenario.service_time_ms / 1000)
    spare_rps = at.servers_ready * scenario.server_capacity_rps - at.rate_rps
    return backlog / spare_rps if spare_rps > 0 else math.inf


def nothing_beyond_the_need(scenario: Scenario, run: Recording) -> Checks:
    """Every order for more is covered by a recorded decision whose model needed at least that many."""
    needed = [_most_needed(run, order) for _, order in run.rises()]
    covered = [
        need is not None and order.servers <= need
        for (_, order), need in zip(run.rises(), needed, strict=True)
    ]
    orders = [
        f"{order.servers} ordered, {'no decision recorded' if need is None else f'{need} needed'}"
        for (_, order), need in zip(run.rises(), needed, strict=True)
    ]
    return (
        Check(
            name="No server that the model does not need",
            passed=all(covered),
            measured="; ".join(orders) or "nothing ordered",
            goal="ordered ≤ needed in every decision",
        ),
    )


def _most_needed(run: Recording, order: Order) -> int | None:
    """What the decisions that led to this order said is needed. Their times are cut to whole seconds."""
    about = [
        d for d in run.decisions if order.t_s - 2 <= d.t_s <= order.t_s + 1 and d.wanted >= order.servers
    ]
    return max((d.needed for d in about if d.needed is not None), default=None)


def no_failed_request(_: Scenario, run: Recording) -> Checks:
    requests = run.requests
    failures = [
        f"{count} {outcome}" for outcome, count in requests.outcomes.items() if outcome != "ok" and count
    ]
    return (
        Check(
            name="No failed request from start to end",
            passed=requests.failed == 0 and requests.sent > 0,
            measured=f"{requests.failed} of {requests.sent}"
            + (f": {', '.join(failures)}" if failures else ""),
            goal="0",
        ),
    )


def routers_saw_every_request(_: Scenario, run: Recording) -> Checks:
    return (
        Check(
            name="Routers counted every request once",
            passed=run.routed == run.requests.sent,
            measured="unknown" if run.routed is None else str(run.routed),
            goal=str(run.requests.sent),
        ),
    )


def sustained_excess_s(seconds: Sequence[Second], goal_ms: float) -> float | None:
    """When the first three seconds in a row above the goal have ended; None when there are none."""
    above = [s.response_ms is not None and s.response_ms > goal_ms for s in seconds]
    for i in range(len(above) - SUSTAINED_S + 1):
        if all(above[i : i + SUSTAINED_S]):
            return seconds[i + SUSTAINED_S - 1].t_s + 1.0
    return None


def _back_within_s(seconds: Sequence[Second], goal_ms: float) -> float | None:
    within = [s.response_ms is not None and s.response_ms <= goal_ms for s in seconds]
    for i in range(len(within) - SUSTAINED_S + 1):
        if all(within[i : i + SUSTAINED_S]):
            return float(seconds[i].t_s)
    return None


def _ordered_at(orders: Sequence[Order], t_s: float) -> int:
    return max(
        (o for o in orders if o.t_s < t_s), key=lambda o: o.t_s, default=Order(t_s=0, servers=0)
    ).servers
