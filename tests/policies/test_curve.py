"""The curve of a server: its response rises with load, and the rate within a goal follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond_policies.goals import Goal
from millpond_policies.learn.curve import Curve, peak_from

from policies.world import average, percentile

CPU_BOUND = Curve(base_ms=100, tail_ms=100, peak_rps=20, slots=1)  # 50 ms CPU, 50 ms other wait, one core


@pytest.mark.parametrize(
    ("curve", "goal", "rate"),
    [
        pytest.param(
            CPU_BOUND, average(300), 16.0, id="50 ms CPU and 50 ms wait meet 300 ms at 80 % of a core"
        ),
        pytest.param(
            Curve(base_ms=100, tail_ms=100, peak_rps=10, slots=1),
            average(300),
            6.67,
            id="a single slot of 100 ms meets 300 ms at two thirds of its peak",
        ),
        pytest.param(
            Curve(base_ms=100, tail_ms=100, peak_rps=40, slots=4),
            average(300),
            36.0,
            id="four slots are flat until 90 % of their peak",
        ),
        pytest.param(
            Curve(base_ms=100, tail_ms=100, peak_rps=80, slots=8),
            average(300),
            73.6,
            id="eight slots would go further than 92 %, where a small error costs seconds",
        ),
        pytest.param(
            Curve(base_ms=100, tail_ms=100, peak_rps=10, slots=1),
            percentile(500, 95),
            4.5,
            id="the 95th percentile asks for more room than the mean",
        ),
        pytest.param(
            Curve(base_ms=400, tail_ms=400, peak_rps=10, slots=4),
            average(300),
            8.0,
            id="a goal below the response of an idle server is not chased",
        ),
    ],
)
def test_rate_within_goal(curve: Curve, goal: Goal, rate: float) -> None:
    assert curve.rate_within(goal) == pytest.approx(rate, rel=0.02)


def test_a_saturated_server_never_answers() -> None:
    assert CPU_BOUND.response_ms(average(300), 20) == float("inf")


def test_a_goal_that_idle_servers_miss_is_not_attainable() -> None:
    slow = Curve(base_ms=310, tail_ms=310, peak_rps=10, slots=4)
    assert not slow.attainable(average(300))
    assert slow.attainable(average(400))


@given(
    peak=st.floats(1, 1000),
    base_ms=st.floats(1, 1000),
    target_ms=st.floats(1, 5000),
    spread=st.floats(0.3, 3),
    p=st.one_of(st.none(), st.floats(50, 99)),
)
def test_the_rate_is_within_the_limits_and_meets_an_attainable_goal(
    peak: float, base_ms: float, target_ms: float, spread: float, p: float | None
) -> None:
    curve = Curve(
        base_ms=base_ms, tail_ms=base_ms, peak_rps=peak, slots=max(1.0, peak * base_ms / 1000), spread=spread
    )
    goal = average(target_ms) if p is None else percentile(target_ms, p)
    rate = curve.rate_within(goal)
    assert 0.25 * peak <= rate <= 0.9201 * peak
    if curve.attainable(goal):
        assert curve.response_ms(goal, rate) <= target_ms * 1.001


@given(slots=st.integers(1, 8), used=st.floats(0.7, 0.95))
def test_the_peak_is_found_again_from_one_point_of_the_curve(slots: int, used: float) -> None:
    curve = Curve(base_ms=100, tail_ms=100, peak_rps=10.0 * slots, slots=slots)
    rate = used * curve.peak_rps
    assert peak_from(100, rate, curve.response_ms(average(300), rate)) == pytest.approx(
        curve.peak_rps, rel=0.01
    )
