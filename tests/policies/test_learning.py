"""What is learned from samples, what is kept, and what is not believed."""

import json
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond_policies.learn.capacity import Capacity, Model
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.learning import Memory, learn, learn_start

from policies.building import FOUR_SLOTS, GOAL, NOW, after_load, sample
from policies.world import Kind, World, average, percentile, steps


def saturated(kind: Kind, rate: float, seconds: int = 12, before: float = 0.3) -> Capacity:
    """Learned from one server that gets more than it can do, after a quiet minute."""
    quiet = before * kind.peak_rps
    world = World(kind=kind, goal=average(300), load=steps((60, quiet), (seconds, rate)), max_servers=1)
    return world.run(60 + seconds).memory.capacity


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Kind(slots=1), id="one waiting slot"),
        pytest.param(Kind(slots=4), id="four waiting slots"),
        pytest.param(Kind(slots=8), id="eight waiting slots"),
        pytest.param(Kind(slots=4, exponential=True), id="four slots of varying service"),
    ],
)
def test_the_peak_of_a_saturated_server_is_measured(kind: Kind) -> None:
    capacity = saturated(kind, 1.3 * kind.peak_rps, seconds=30)
    assert capacity.proven
    assert capacity.peak_rps == pytest.approx(kind.peak_rps, rel=0.15)


def test_a_shared_cpu_is_read_as_such_when_overloads_differ() -> None:
    kind = Kind(cpu_ms=50, wait_ms=50)
    load = steps((60, 6), (6, 24), (60, 6), (6, 40))
    capacity = World(kind=kind, goal=average(300), load=load, max_servers=1).run(132).memory.capacity
    assert capacity.peak_rps == pytest.approx(20, rel=0.15)
    assert (capacity.share.error or 0) < (capacity.queue.error or 0)


def test_cpu_figures_tell_the_peak_of_a_cpu_bound_server_before_it_is_reached() -> None:
    kind = Kind(cpu_ms=50, wait_ms=50)
    world = World(kind=kind, goal=average(300), load=lambda t: 10.0, max_servers=1, cpu_figures=True).run(120)
    law = world.memory.capacity.law()
    assert law is not None
    assert law.peak_rps == pytest.approx(20, rel=0.05)
    assert law.rate_within(average(300)) == pytest.approx(16, rel=0.1)


def test_cpu_figures_of_waiting_servers_do_not_promise_what_nobody_saw() -> None:
    """1 ms of CPU would be a thousand requests a second; the slots end at forty."""
    memory = Memory()
    for i in range(60):
        memory = learn(memory, sample(NOW + i, 12, 1, cpu_cores=0.012, cores_per_server=1.0), GOAL)
    known = memory.capacity.rate_within(GOAL)
    assert known is not None
    assert known == (pytest.approx(15, rel=0.01), Model.FRONTIER)


def test_the_model_that_predicts_better_is_used() -> None:
    law = Capacity(base_ms=100, tail_ms=100, peak_rps=40, measured=100, demand_ms=1, wait_ms=99, cores=1)
    assert replace(law, station_error=0.1, law_error=1.0).curve()[1] is Model.STATION  # type: ignore[index]
    assert replace(law, station_error=1.0, law_error=0.1).curve()[1] is Model.UTILISATION  # type: ignore[index]


def test_before_anything_is_known_a_quarter_more_than_was_seen_is_believed() -> None:
    known = after_load(12, 1, memory=Memory()).capacity.rate_within(GOAL)
    assert known == (pytest.approx(15), Model.FRONTIER)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"young": 1}, id="a server in its warm-up"),
        pytest.param({"errors": 5}, id="errors"),
        pytest.param({"complete": False}, id="a router missing"),
    ],
)
def test_such_samples_say_nothing_about_what_a_server_can_do(changes: dict[str, object]) -> None:
    memory = after_load(12, 1)
    for i in range(1, 20):
        slow = sample(NOW + i, 12, 1, sum_ms=12 * 900.0, **changes)
        memory = learn(memory, slow, GOAL)
    assert memory.capacity == after_load(12, 1).capacity


@pytest.mark.parametrize("field", ["at_s", "window_s", "sum_ms", "requests", "in_flight"])
@pytest.mark.parametrize("value", [nan, inf, -1])
def test_a_sample_that_cannot_be_is_ignored(field: str, value: float) -> None:
    memory = after_load(12, 1)
    assert learn(memory, replace(sample(NOW + 1, 12, 1), **{field: value}), GOAL) == memory


def test_a_sample_that_is_not_newer_is_ignored() -> None:
    memory = after_load(12, 1)
    assert learn(memory, sample(NOW, 500, 1), GOAL) == memory


def test_an_incomplete_sample_says_at_least() -> None:
    memory = after_load(12, 1)
    less = learn(memory, sample(NOW + 1, 2, 1, complete=False), GOAL)
    assert less.load == memory.load
    assert not less.window_full(NOW + 1)
    more = memory
    for i in range(1, 5):
        more = learn(more, sample(NOW + i, 60, 1, complete=False), GOAL)
    assert (more.load.forecast_rps or 0) > 50


def test_response_time_is_asked_over_the_last_seconds() -> None:
    memory = learn(after_load(10, 1, seconds=30), sample(NOW + 1, 10, 1, sum_ms=2000.0), GOAL)
    assert memory.response_ms(GOAL, NOW + 1, 1) == 200.0
    assert memory.response_ms(GOAL, NOW + 1, 10) == 110.0
    assert memory.response_ms(GOAL, NOW + 500, 10) is None
    assert memory.rate_rps(NOW + 1, 5) == 10.0


def test_percentile_goals_ask_the_histogram() -> None:
    goal = percentile(300, 95)
    counts = [0] * (len(BOUNDS_MS) + 1)
    counts[10], counts[30] = 90, 10
    memory = learn(Memory(), sample(NOW, 100, 1, histogram=tuple(counts)), goal)
    response = memory.response_ms(goal, NOW, 5)
    assert response is not None
    assert BOUNDS_MS[29] <= response <= BOUNDS_MS[30]


def test_start_times_are_averaged() -> None:
    memory = learn_start(Memory(), 10)
    assert memory.start_s == 10
    assert learn_start(memory, 20).start_s == 15
    assert learn_start(memory, nan) == memory
    assert learn_start(memory, -1) == memory


def test_the_shrink_window_grows_with_the_start_time() -> None:
    assert learn_start(Memory(), 1.5).shrink_window_s == 20
    assert learn_start(Memory(), 60).shrink_window_s > 200


def test_knowledge_survives_as_json() -> None:
    learned = saturated(Kind(slots=4), 52)
    memory = replace(FOUR_SLOTS, capacity=learned, patience=2.0)
    again = Memory.from_dict(json.loads(json.dumps(memory.to_dict())))
    assert again.to_dict() == memory.to_dict()
    assert not again.moved(memory)


def test_only_what_moved_by_more_than_a_twentieth_is_worth_a_write() -> None:
    def with_peak(rps: float) -> Memory:
        return replace(FOUR_SLOTS, capacity=replace(FOUR_SLOTS.capacity, peak_rps=rps))

    assert not FOUR_SLOTS.moved(with_peak(41.5))
    assert FOUR_SLOTS.moved(with_peak(44))
    assert FOUR_SLOTS.moved(Memory())
    assert not FOUR_SLOTS.moved(after_load(12, 1))


json_values = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=3), st.just([1])
)
keys = st.sampled_from([*FOUR_SLOTS.to_dict(), "unknown", "tailMs", "demandMs", "retryAtSeconds"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, json_values, max_size=12))
def test_garbage_in_the_status_is_left_out_and_the_rest_round_trips(garbage: dict[str, object]) -> None:
    memory = Memory.from_dict(garbage)
    once = memory.to_dict()
    assert Memory.from_dict(once).to_dict() == once
    known = after_load(12, 1, seconds=10, memory=memory)
    assert known.load.forecast_rps is not None
