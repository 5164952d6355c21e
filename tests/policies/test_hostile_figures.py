"""Whatever the figures of one app are: nothing raises, nothing impossible is written, and no other app notices."""

import json
from dataclasses import replace
from math import floor, isfinite
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.capacity import Capacity
from millpond_policies.learn.histogram import percentile_ms
from millpond_policies.learn.learning import Memory, Sample, learn, learn_start
from millpond_policies.learn.persistence import VALUES
from millpond_policies.learn.sample import sound
from millpond_policies.plan import plan
from millpond_policies.reasons import Reason
from millpond_policies.rollouts import analysis
from millpond_policies.world.actions import CancelStarting, Retire, Verdict
from millpond_policies.world.model import App, Freshness, Mode, Snapshot
from millpond_policies.world.release import Evidence, Phase, Progress, Step, Way
from millpond_policies.world.strategy import Strategy

from policies.building import FOUR_SLOTS, NOW, after_load, app, sample, serving
from policies.hostile import figures, histograms, seconds
from policies.world import Kind, World, average, percentile, steps

MANY = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
GOALS = st.sampled_from((average(300), average(0.2), percentile(500, 95), Goal(kind=GoalKind.DISCRETIONARY)))
NEIGHBOUR = replace(app(serving(2), memory=after_load(60, 2)), key="shop/b")


def learned(memory: Memory, seen: list[Sample], goal: Goal) -> Memory:
    for one in seen:
        memory = learn(memory, one, goal)
    return memory


def decided(*apps: App) -> tuple[Verdict, ...]:
    return plan(Snapshot(apps=apps), NOW)


def assert_writable(memory: Memory) -> None:
    written = memory.to_dict()
    assert all(isfinite(v) for v in written.values())
    json.dumps(written, allow_nan=False)
    assert Memory.from_dict(written).to_dict() == written, "what is written is read again"


@MANY
@given(seconds(), GOALS, st.sampled_from((Memory(), FOUR_SLOTS)), st.sampled_from(Freshness))
def test_figures_of_one_app_change_nothing_for_another(
    seen: list[Sample], goal: Goal, before: Memory, freshness: Freshness
) -> None:
    memory = learned(before, seen, goal)
    hostile = replace(app(serving(2), memory=memory, freshness=freshness), key="shop/a", goal=goal)
    others = [v for v in decided(hostile, NEIGHBOUR) if v.app == "shop/b"]
    assert others == list(decided(NEIGHBOUR))
    assert_writable(memory)
    for verdict in decided(hostile):
        assert 0 <= verdict.because.wanted <= hostile.max_servers
        json.dumps(verdict.because.inputs, allow_nan=False)


@MANY
@given(seconds(), GOALS, st.sampled_from((Memory(), FOUR_SLOTS)), seconds())
def test_a_rollout_is_judged_whatever_the_figures_are(
    seen: list[Sample], goal: Goal, before: Memory, evidenced: list[Sample]
) -> None:
    old, new = learned(before, seen, goal), learned(Memory(), evidenced, goal)
    evidence = Evidence()
    for one in filter(sound, evidenced):
        evidence = evidence.plus(one.requests, one.errors, one.sum_ms, one.histogram, young=False)
    way = Way(strategy=Strategy.CANARY, steps=(Step(weight=10),))
    going = Progress(edition="v2", origin="v1", strategy=way.strategy, phase=Phase.PROGRESSING, step=1, weight=10,
                     servers=2, started_s=NOW - 60, step_s=NOW - 60, reason=Reason.EDITION_SWAP)  # fmt: skip
    base = app(serving(2) + serving(1, "v2"), memory=old, goal=goal)
    views = (
        replace(base.editions[0], evidence=evidence),
        replace(base.editions[0], name="v2", ordered=1, memory=new, evidence=evidence),
    )
    rolling = replace(base, key="shop/a", edition="v2", active="v1", way=way, progress=going, editions=views)
    for verdict in decided(rolling):
        json.dumps(verdict.because.inputs, allow_nan=False)


@MANY
@given(seconds(), GOALS, st.sampled_from(Mode))
def test_what_cannot_be_is_ignorance_and_takes_no_server_away(
    seen: list[Sample], goal: Goal, mode: Mode
) -> None:
    impossible = [one for one in seen if not sound(one)]
    memory = learned(after_load(60, 2), impossible, goal)
    assert memory == after_load(60, 2)
    now_s = NOW + 30  # nothing that could be believed came for so long
    blind = app(serving(3), memory=memory, goal=goal)
    verdicts = plan(Snapshot(apps=(blind,)), now_s)
    assert not [v for v in verdicts if isinstance(v, Retire | CancelStarting)]


@MANY
@given(
    st.dictionaries(st.sampled_from([*VALUES]), figures | st.text(max_size=3), max_size=21), GOALS, seconds()
)
def test_a_status_that_somebody_edited_is_read_and_learned_on(
    status: dict[str, Any], goal: Goal, seen: list[Sample]
) -> None:
    limits = {key: max(value.least, min(value.most, 0.5)) for key, value in VALUES.items()}
    for found in (status, {**limits, **status}):
        memory = Memory.from_dict(found)
        assert_writable(memory)
        memory = learned(after_load(12, 1, seconds=12, memory=memory, goal=goal), seen, goal)
        assert_writable(memory)
        decided(app(serving(2), memory=memory, goal=goal))


@pytest.mark.parametrize(
    "garbage", [[], "x", 3, None, {"peakRps": 10**400}, {"measured": float("nan")}], ids=repr
)
def test_learned_values_of_any_form_are_none_or_within_limits(garbage: Any) -> None:
    assert Memory.from_dict(garbage).to_dict() == Memory().to_dict()


@MANY
@given(histograms(), figures)
def test_a_percentile_of_anything_is_a_time_or_nothing(histogram: tuple[Any, ...], p: Any) -> None:
    found = percentile_ms(histogram, p)
    assert found is None or 0 <= found <= 600_000


@given(figures)
def test_a_start_took_a_time_that_can_be_or_teaches_nothing(took: Any) -> None:
    assert_writable(learn_start(learn_start(Memory(), took), 3.0))


@pytest.mark.parametrize(
    "goal", [average(300), percentile(300, 95), Goal(kind=GoalKind.DISCRETIONARY)], ids=str
)
@pytest.mark.parametrize("cpu", [None, 0.0, 0.001])
def test_answers_under_a_millisecond_are_a_time(goal: Goal, cpu: float | None) -> None:
    """Routers count whole milliseconds: their mean is exactly 0.0."""
    memory = Memory()
    counts = (3, *(0,) * 74)
    for i in range(120):
        seen = sample(NOW - 120 + i, 3, 1, sum_ms=0.0, in_flight=0, cpu_cores=cpu, cores_per_server=1.0)
        memory = learn(memory, replace(seen, histogram=counts), goal)
        decided(app(serving(1), memory=memory, goal=goal))
    assert memory.capacity.base_ms == 0.5
    assert_writable(memory)


def whole_milliseconds(t: float, seen: Sample) -> Sample:
    """As a router counts them; that no answer takes a millisecond makes every one of them 0."""
    return replace(seen, sum_ms=float(floor(seen.sum_ms / max(1, seen.requests)) * seen.requests))


def test_servers_that_answer_within_a_millisecond_are_sized_by_what_they_complete() -> None:
    """One slot of 0.8 ms: 1,250 requests a second saturate a server; 2,000 need two."""
    world = World(
        kind=Kind(slots=1, service_ms=0.8), goal=average(50), load=steps((30, 3), (40, 400), (25, 2000)),
        sampled=whole_milliseconds, poisson=False,
    )  # fmt: skip
    world.run(30)
    assert world.ordered == 1, "three requests a second need one"
    world.run(65)
    assert 2 <= world.ordered <= 4
    peak = world.memory.capacity.peak_rps
    assert peak is not None
    assert 900 < peak < 1600


def test_a_rise_within_the_clocks_rounding_says_nothing_about_the_peak() -> None:
    memory = Memory()
    for i in range(120):
        memory = learn(memory, sample(NOW + i, 40, 1, sum_ms=40 * (i % 2) * 0.9, in_flight=0), average(300))
    assert memory.capacity.inferred == 0
    assert memory.capacity.peak_rps is None


def test_an_edition_is_not_slow_for_what_the_clock_rounds() -> None:
    """Without a goal, the old edition answered in 0 ms and the new one in 0.4 ms on average."""
    quick, other = Evidence(), Evidence()
    for _ in range(60):
        quick = quick.plus(50, 0, 0.0, (), young=False)
        other = other.plus(50, 0, 20.0, (), young=False)
    finding = analysis.judge(other, quick, Goal(kind=GoalKind.DISCRETIONARY), 100)
    assert finding.judgement is analysis.Judgement.SOUND


@pytest.mark.parametrize(
    "capacity",
    [
        pytest.param(Capacity(base_ms=100, demand_ms=100, cores=1, pools=9), id="a rate at the law's peak"),
        pytest.param(
            Capacity(base_ms=100, demand_ms=500, cores=1, pools=9), id="a rate above the law's peak"
        ),
    ],
)
def test_cpu_figures_that_belie_the_law_correct_it(capacity: Capacity) -> None:
    memory = replace(FOUR_SLOTS, capacity=capacity)
    for i in range(30):
        seen = sample(NOW + i, 10, 1, sum_ms=1100.0, cpu_cores=0.5, cores_per_server=1.0)
        memory = learn(memory, seen, average(300))
    assert memory.capacity.demand_ms is not None
    assert memory.capacity.demand_ms < (capacity.demand_ms or 0)
    assert_writable(memory)
