"""Promises that hold for every app, whatever it went through."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.learning import Memory, learn
from millpond_policies.plan import of_apps, plan
from millpond_policies.world.actions import CancelRetire, CancelStarting, Grow, Hold, Retire, Verdict
from millpond_policies.world.after import app_after
from millpond_policies.world.model import App, EditionView, Freshness, Mode, Server, ServerState, Snapshot

from policies.building import FOUR_SLOTS, NOW, sample
from policies.stations import Kind
from policies.world import World, average

GOALS = (
    average(300),
    Goal(kind=GoalKind.PERCENTILE, target_ms=500, percentile=95),
    Goal(kind=GoalKind.DISCRETIONARY),
)
GOING = (ServerState.DRAINING, ServerState.TERMINATING)


@st.composite
def memories(draw: st.DrawFn, goal: Goal) -> Memory:
    memory = draw(st.sampled_from((Memory(), FOUR_SLOTS)))
    at = NOW - 200
    for _ in range(draw(st.integers(0, 4))):
        rate, serving = draw(st.integers(0, 200)), draw(st.integers(0, 6))
        in_flight, mean_ms = draw(st.integers(0, 400)), draw(st.floats(1, 3000))
        complete = draw(st.booleans()) or draw(st.booleans())
        for _ in range(draw(st.integers(1, 45))):
            at += 1
            seen = sample(at, rate, serving, in_flight=in_flight, sum_ms=rate * mean_ms, complete=complete)
            memory = learn(memory, seen, goal)
    return memory


@st.composite
def apps(draw: st.DrawFn) -> App:
    goal = draw(st.sampled_from(GOALS))
    least = draw(st.integers(1, 4))
    servers: list[Server] = []
    editions = []
    for name in ("v2", "v1")[: draw(st.integers(1, 2))]:
        states = draw(st.lists(st.sampled_from(ServerState), max_size=6))
        for i, state in enumerate(states):
            created = NOW - draw(st.sampled_from((1.0, 30.0, 5000.0)))
            in_flight = draw(st.none() | st.integers(0, 20))
            servers.append(
                Server(
                    uid=f"{name}-{i}",
                    name=f"{name}-{i}",
                    edition=name,
                    state=state,
                    created_s=created,
                    in_flight=in_flight,
                )
            )
        gone = states.count(ServerState.TERMINATING)
        ordered = len(states) - gone + draw(st.integers(0, 2))
        freshness = draw(st.sampled_from(Freshness))
        editions.append(
            EditionView(name=name, ordered=ordered, memory=draw(memories(goal)), freshness=freshness)
        )
    return App(
        key="shop/web",
        edition="v2",
        active="v2",
        goal=goal,
        min_servers=least,
        max_servers=least + draw(st.integers(0, 6)),
        mode=draw(st.sampled_from(Mode)),
        manual_servers=draw(st.integers(0, 8)),
        paused_until_s=draw(st.none() | st.sampled_from((NOW - 1, NOW + 1))),
        static=draw(st.booleans()) and draw(st.booleans()),
        editions=tuple(editions),
        servers=tuple(servers),
    )


def decided(app: App) -> tuple[Verdict, ...]:
    return tuple(of_apps(plan(Snapshot(apps=(app,)), NOW)))


def kept(app: App) -> int:
    """Servers of all editions that are ordered and not about to go."""
    return sum(e.ordered for e in app.editions) - sum(s.state is ServerState.DRAINING for s in app.servers)


def of_edition(app: App, name: str) -> int:
    view = app.view(name)
    return (view.ordered if view else 0) - len(app.servers_of(name, ServerState.DRAINING))


@given(apps())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_verdict_keeps_the_promises(app: App) -> None:
    verdicts = decided(app)
    assert verdicts, "at least one verdict for every app"
    assert verdicts == decided(app), "the same snapshot, the same verdicts"
    then = app_after(app, verdicts)
    taken = [v for v in verdicts if isinstance(v, Retire | CancelStarting)]
    if taken:
        assert of_edition(then, "v2") >= min(app.min_servers, of_edition(app, "v2")), "never below the floor"
        known = any(e.freshness is Freshness.FRESH for e in app.editions) or app.mode is Mode.MANUAL
        assert known, "capacity never falls on ignorance"
    retired = [v for v in verdicts if isinstance(v, Retire)]
    assert len(retired) <= 1, "one victim at a time"
    assert not retired or not any(s.state in GOING for s in app.servers)
    for verdict in verdicts:
        if isinstance(verdict, Grow):
            assert verdict.to <= max(app.max_servers, app.min_servers), "never above the ceiling"
    if app.paused_until_s is not None and app.paused_until_s > NOW:
        assert all(isinstance(v, Hold) for v in verdicts), "paused: nothing at all"


@given(apps(), st.sampled_from((Freshness.STALE, Freshness.PARTIAL, Freshness.MISSING)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_capacity_never_falls_on_ignorance(app: App, freshness: Freshness) -> None:
    blind = replace(
        app, mode=Mode.AUTOMATIC, editions=tuple(replace(e, freshness=freshness) for e in app.editions)
    )
    verdicts = decided(blind)
    assert not [v for v in verdicts if isinstance(v, Retire | CancelStarting)]
    assert kept(app_after(blind, verdicts)) >= kept(blind)


def ripened(app: App) -> App:
    """Everything ordered serves, everything drained is gone."""
    servers: list[Server] = []
    editions = []
    for view in app.editions:
        staying = [s for s in app.servers_of(view.name) if s.state not in GOING]
        ordered = view.ordered - len(app.servers_of(view.name, ServerState.DRAINING))
        staying = [replace(s, state=ServerState.SERVING, created_s=NOW - 5000) for s in staying][:ordered]
        for i in range(ordered - len(staying)):
            name = f"{view.name}-new-{len(app.servers)}-{i}"
            staying.append(
                Server(
                    uid=name,
                    name=name,
                    edition=view.name,
                    state=ServerState.SERVING,
                    created_s=NOW - 5000,
                    in_flight=0,
                )
            )
        servers += staying
        editions.append(replace(view, ordered=ordered))
    return replace(app, editions=tuple(editions), servers=tuple(servers))


@given(apps())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_with_nothing_changing_outside_the_plan_comes_to_rest(app: App) -> None:
    """Each verdict obeyed and ripened: after some rounds only holds, and then for ever."""
    app = replace(app, editions=tuple(replace(e, ordered=max(0, e.ordered)) for e in app.editions))
    for _ in range(60):
        verdicts = decided(app)
        if all(isinstance(v, Hold) for v in verdicts):
            break
        app = ripened(app_after(app, verdicts))
    assert all(isinstance(v, Hold) for v in decided(app))
    assert decided(ripened(app)) == decided(ripened(ripened(app)))


@given(
    slots=st.integers(1, 8), rate=st.integers(1, 150), seed=st.integers(0, 1000), start_s=st.floats(0.5, 5)
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_station_at_any_load_stays_within_the_limits(
    slots: int, rate: int, seed: int, start_s: float
) -> None:
    kind = Kind(slots=slots, service_ms=50.0, start_s=start_s)
    world = World(
        kind=kind, goal=average(300), load=lambda t: float(rate), seed=seed, max_servers=6, min_servers=2
    )
    world.run(90)
    assert all(2 <= n <= 6 for _, n in world.ordered_over_time)
    assert world.lost == 0
    draining = [v for _, v in world.verdicts if isinstance(v, CancelRetire)]
    assert len(draining) <= 3
