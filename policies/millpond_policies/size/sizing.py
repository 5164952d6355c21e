"""How many servers an application needs, as far as anybody can know."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from millpond_policies.goals import Goal
from millpond_policies.learn.capacity import Model
from millpond_policies.learn.learning import Memory
from millpond_policies.learn.seconds import Second, goal_ms, mean_ms, since
from millpond_policies.learn.windows import PRESENT_S, RECOVERED, missed_s
from millpond_policies.reasons import Reason
from millpond_policies.size.combined import combined
from millpond_policies.world.actions import Input
from millpond_policies.world.model import App, EditionView, Freshness, ServerState

DRAIN_S = 30.0  # a backlog is to be gone so long after the order
SHRINK_ROOM = 1.05  # a server is only given back when the load may still rise by this
SETTLED_S = 5.0  # a new level of the load must be seen for so long before it is called more than ever seen
STABLE_USE = 0.8  # of the peak, while the response of an idle server is not known
IDLE_SEEN = 2  # pools of requests that found no queue, before the response of an idle server is known
UNTESTED_BUSY = 0.5  # of a single slot: so much work may be put on a server of which nothing is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is needed now, and the most that the shrink window needed (None: nobody knows)."""

    needed: int | None
    reason: Reason  # why it is not less
    window: int | None
    inputs: tuple[tuple[str, Input], ...]


def size(app: App, view: EditionView, now_s: float, *, alone: bool = False) -> Size:
    """Size ``view`` for the load of all of the app's editions; ``alone``: for its own, by what is known of itself.

    needed = ceil(forecast / rate that one server sustains within the goal); more when a backlog or missed goals say so.
    52/s expected, 36/s sustained by one server: 2.
    """
    memory, goal = view.memory, app.goal
    memories = [e.memory for e in app.editions if e is view or (e.ordered and not alone)]
    together = combined(memories, memory)
    loads = [m.load for m in memories] if together is None else [together]
    forecast = _total(load.forecast_rps for load in loads)
    known = _known(app, view, () if alone else app.editions)
    inputs = _inputs(app, view, now_s, forecast, known)
    if forecast is None or (known is None and forecast > 0):
        hopeless = not _attainable(memory, goal)
        reason = Reason.SLA_UNATTAINABLE if hopeless else Reason.NO_SAMPLES
        return Size(needed=None, reason=reason, window=None, inputs=inputs)
    rate, model = known or (1.0, Model.FRONTIER)
    needed, reason = _raised(app, view, now_s, ceil(forecast / rate - 1e-9), rate, model)
    peak = _total(load.peak_rps(now_s, memory.shrink_window_s) for load in loads)
    return Size(
        needed=needed, reason=reason, window=_window(app, view, now_s, peak, rate, model), inputs=inputs
    )


def kept(app: App, view: EditionView) -> int:
    """Servers ordered and not about to go: those that start count, those that drain don't.

    More draining servers than orders (an odd moment of the world) count as none kept.
    """
    return max(0, view.ordered - len(app.servers_of(view.name, ServerState.DRAINING)))


def missed(memory: Memory, goal: Goal, now_s: float) -> bool:
    """The goal was exceeded throughout, by the same servers, and the backlog is not about to go."""
    long_s = missed_s(memory.horizon_s)
    seconds = since(memory.recent, now_s - long_s)
    if goal.target_ms is None or len(seconds) < 8 or now_s - seconds[0].at_s < 0.8 * long_s:
        return False
    half = len(seconds) // 2
    if any(s.serving != seconds[-1].serving for s in seconds) or not seconds[-1].serving:
        return False
    over = all((goal_ms(goal, part) or 0.0) > goal.target_ms for part in (seconds[:half], seconds[half:]))
    return over and _in_flight(seconds[half:]) > 0.8 * _in_flight(seconds[:half])


def _raised(
    app: App, view: EditionView, now_s: float, needed: int, rate: float, model: Model
) -> tuple[int, Reason]:
    """What backlog, missed goals and doubts make of the size that the forecast gives."""
    memory, now = view.memory, kept(app, view)
    starting = app.servers_of(view.name, ServerState.PENDING, ServerState.STARTING)
    reason = Reason.FORECAST_ABOVE_CAPACITY
    if model is Model.FRONTIER:  # careful with what nobody has seen: one at a time, and none without a goal
        wait = starting or app.goal.target_ms is None or now_s - memory.load.since_s < SETTLED_S
        needed = min(needed, now if wait else now + 1)
    if memory.backlogged >= 2 and not memory.load.settling:
        clearing = _clearing(memory, rate, needed)
        if clearing > needed:
            needed, reason = clearing, Reason.BACKLOG_UNEXPLAINED
    if needed <= now and not starting and missed(memory, app.goal, now_s) and _attainable(memory, app.goal):
        needed, reason = now + 1, Reason.GOAL_EXCEEDED
    if memory.doubt.unattainable(now_s) or not _attainable(memory, app.goal):
        reason = Reason.SLA_UNATTAINABLE
    most = memory.doubt.most(now_s, now, bool(starting))
    return needed if most is None else min(needed, most), reason


def _clearing(memory: Memory, rate: float, needed: int) -> int:
    """Servers that, while requests queue, complete what arrives and the backlog within half a minute."""
    load, capacity = memory.load.level_rps or 0.0, memory.capacity
    if not memory.recent:
        return needed
    known = capacity.curve()
    full = max(rate, known[0].peak_rps if known else 0.0)
    backlog = memory.recent[-1].in_flight
    wanted = ceil((load + backlog / max(DRAIN_S, 2 * memory.horizon_s)) / full - 1e-9)
    return min(wanted, 4 * max(1, ceil(load / rate)) + 1)


def _window(
    app: App, view: EditionView, now_s: float, peak_rps: float | None, rate: float, model: Model
) -> int | None:
    """The most that a full window of fresh metrics needed."""
    memory = view.memory
    if view.freshness is not Freshness.FRESH or not memory.window_full(now_s) or peak_rps is None:
        return None
    if memory.backlogged or memory.load.settling:
        return None
    if any(now_s - s.created_s < memory.shrink_window_s for s in app.servers_of(view.name)):
        return None  # what was just ordered is not sent back because of what was just learned
    seconds = since(memory.recent, now_s - memory.shrink_window_s)
    target, seen = app.goal.target_ms, goal_ms(app.goal, seconds[-RECOVERED:])
    if target is not None and seen is not None and seen > target and _attainable(memory, app.goal):
        return None
    most = ceil(peak_rps * (SHRINK_ROOM + memory.load.noise) / rate - 1e-9)
    now = kept(app, view)
    if model is Model.FRONTIER and most >= now > 1 and _idle(seconds, now - 1):
        return now - 1
    return most


def _idle(seconds: Sequence[Second], servers: int) -> bool:
    """So little to do that ``servers`` would be less than half busy, even if each did one request at a time."""
    same = all(s.serving == seconds[-1].serving for s in seconds)
    return same and _in_flight(seconds) <= UNTESTED_BUSY * servers


def _known(app: App, view: EditionView, others: Iterable[EditionView]) -> tuple[float, Model] | None:
    """What a server of this edition sustains; before it has been seen at work, what one of another edition does."""
    for edition in (view, *(e for e in others if e is not view)):
        capacity = edition.memory.capacity
        known = capacity.rate_within(app.goal)
        curve = capacity.curve()
        if curve and capacity.pools < IDLE_SEEN:
            return STABLE_USE * curve[0].peak_rps, curve[1]
        if known is not None:
            return known
    return None


def _attainable(memory: Memory, goal: Goal) -> bool:
    """Whether an idle server is fast enough; so it is until enough was seen of it."""
    known, capacity = memory.capacity.curve(), memory.capacity
    if goal.target_ms is None or capacity.pools < 5 or capacity.base_ms is None:
        return True
    return known[0].attainable(goal) if known is not None else capacity.base_ms < goal.target_ms


def _total(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _in_flight(seconds: Sequence[Second]) -> float:
    return sum(s.in_flight for s in seconds) / len(seconds) if seconds else 0.0


def _inputs(
    app: App, view: EditionView, now_s: float, forecast: float | None, known: tuple[float, Model] | None
) -> tuple[tuple[str, Input], ...]:
    memory = view.memory
    last = since(memory.recent, now_s - PRESENT_S)
    peak = memory.capacity.curve()
    return (
        ("rate_rps", _short(memory.rate_rps(now_s, PRESENT_S))),
        ("forecast_rps", _short(forecast)),
        ("per_server_rps", _short(known[0] if known else None)),
        ("model", known[1].value if known else None),
        ("peak_rps", _short(peak[0].peak_rps if peak else None)),
        ("response_ms", _short(memory.response_ms(app.goal, now_s, PRESENT_S))),
        ("mean_ms", _short(mean_ms(last))),
        ("target_ms", _short(app.goal.target_ms)),
        ("in_flight", memory.recent[-1].in_flight if memory.recent else None),
        ("ready", len(app.servers_of(view.name, ServerState.SERVING))),
        ("starting", len(app.servers_of(view.name, ServerState.PENDING, ServerState.STARTING))),
        ("draining", len(app.servers_of(view.name, ServerState.DRAINING, ServerState.TERMINATING))),
        ("start_s", _short(memory.start_s)),
        ("horizon_s", _short(memory.horizon_s)),
        ("window_s", _short(memory.shrink_window_s)),
        ("metrics", view.freshness.value),
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
