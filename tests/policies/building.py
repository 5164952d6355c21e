"""Snapshots for tests, in the words of the tests."""

from dataclasses import replace
from typing import Any

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.capacity import Capacity
from millpond_policies.learn.learning import Memory, Sample, learn
from millpond_policies.plan import of_apps, plan
from millpond_policies.world.actions import CancelRetire, CancelStarting, Grow, Hold, Retire, Steer, Verdict
from millpond_policies.world.model import App, EditionView, Freshness, Server, ServerState, Snapshot

NOW = 1_700_000_000.0
GOAL = Goal(kind=GoalKind.AVERAGE, target_ms=300.0)
LONG_AGO = NOW - 10_000.0

# 4 slots of 100 ms: 40 requests a second saturate a server, 36 meet the goal
FOUR_SLOTS = Memory(
    start_s=1.5,
    starts=3,
    capacity=Capacity(base_ms=100.0, tail_ms=100.0, pools=9, peak_rps=40.0, measured=400),
)


def sample(at_s: float, rate: float, serving: int, **changes: Any) -> Sample:
    """One quiet second: 100 ms each."""
    return replace(
        Sample(
            at_s=at_s,
            window_s=1.0,
            requests=round(rate),
            sum_ms=100.0 * round(rate),
            in_flight=round(rate / 10),
            serving=serving,
        ),
        **changes,
    )


def after_load(
    rate: float, serving: int, seconds: int = 60, memory: Memory = FOUR_SLOTS, goal: Goal = GOAL
) -> Memory:
    """What is known after ``seconds`` of even load, up to NOW."""
    for i in range(seconds):
        memory = learn(memory, sample(NOW - seconds + 1 + i, rate, serving), goal)
    return memory


def server(
    name: str, state: ServerState = ServerState.SERVING, edition: str = "v1", **changes: Any
) -> Server:
    known = Server(
        uid=f"uid-{name}", name=name, edition=edition, state=state, created_s=LONG_AGO, in_flight=0
    )
    return replace(known, **{"serving_since_s": LONG_AGO, **changes})


def serving(n: int, edition: str = "v1") -> tuple[Server, ...]:
    return tuple(server(f"{edition}-{i}", edition=edition) for i in range(n))


def app(
    servers: tuple[Server, ...],
    memory: Memory = FOUR_SLOTS,
    freshness: Freshness = Freshness.FRESH,
    ordered: int | None = None,
    **changes: Any,
) -> App:
    view = EditionView(
        name="v1", ordered=len(servers) if ordered is None else ordered, memory=memory, freshness=freshness
    )
    known = App(
        key="shop/web",
        edition="v1",
        active="v1",
        goal=GOAL,
        min_servers=1,
        max_servers=10,
        editions=(view,),
        servers=servers,
    )
    return replace(known, **changes)


def verdicts(of: App, now_s: float = NOW) -> tuple[Verdict, ...]:
    return tuple(of_apps(plan(Snapshot(apps=(of,)), now_s)))


def only(of: App, now_s: float = NOW) -> Verdict:
    found = verdicts(of, now_s)
    assert len(found) == 1, found
    return found[0]


def said(verdict: Verdict) -> str:
    """A verdict in short: ``Grow 3 ForecastAboveCapacity``."""
    what: object = ""
    match verdict:
        case Grow() | CancelStarting():
            what = f" {verdict.to}"
        case Retire() | CancelRetire():
            what = f" {verdict.name}"
        case Steer():
            what = f" {verdict.to.phase.value} {verdict.to.step}/{verdict.to.weight}%"
        case Hold():
            pass
    return f"{type(verdict).__name__}{what} {verdict.because.reason.value}"
