"""Sound, sick or unsure: what a handful of requests proves about a new edition."""

from collections.abc import Iterable

import pytest

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.reasons import Reason
from millpond_policies.rollouts.analysis import Judgement, judge
from millpond_policies.world.release import Evidence

from policies.swapping import seen

GOAL = Goal(kind=GoalKind.AVERAGE, target_ms=300.0)
P95 = Goal(kind=GoalKind.PERCENTILE, target_ms=300.0, percentile=95)
NO_GOAL = Goal(kind=GoalKind.DISCRETIONARY)
SOUND, SICK, UNSURE = Judgement.SOUND, Judgement.SICK, Judgement.UNSURE
OLD = seen(100.0, requests=5000)


def second_by_second(means_ms: Iterable[float], requests: int = 20) -> Evidence:
    found = Evidence()
    for mean in means_ms:
        found = found.plus(requests, 0, mean * requests, histogram(mean, requests), False)
    return found


def histogram(at_ms: float, requests: int) -> tuple[int, ...]:
    bucket = next(i for i, bound in enumerate(BOUNDS_MS) if at_ms <= bound)
    return tuple(requests if i == bucket else 0 for i in range(len(BOUNDS_MS) + 1))


@pytest.mark.parametrize(
    ("new", "old", "goal", "judgement", "reason"),
    [
        pytest.param(seen(120), OLD, GOAL, SOUND, Reason.EDITION_SOUND, id="slower, but within the goal"),
        pytest.param(seen(900), OLD, GOAL, SICK, Reason.EDITION_SLOW, id="beyond the goal"),
        pytest.param(
            seen(500), seen(450), GOAL, SOUND, Reason.EDITION_SOUND, id="both beyond: the load is to blame"
        ),
        pytest.param(
            seen(800), seen(450), GOAL, SICK, Reason.EDITION_SLOW, id="both beyond, the new one far more"
        ),
        pytest.param(
            seen(120, requests=20), OLD, GOAL, UNSURE, Reason.NOT_ENOUGH_REQUESTS, id="too few requests"
        ),
        pytest.param(
            seen(900, windows=4), OLD, GOAL, UNSURE, Reason.NOT_ENOUGH_REQUESTS, id="slow for a moment only"
        ),
        pytest.param(
            second_by_second([100.0] * 17 + [3000.0] * 3),
            OLD,
            GOAL,
            UNSURE,
            Reason.NOT_ENOUGH_REQUESTS,
            id="three seconds in which everything stood still",
        ),
        pytest.param(
            second_by_second([400.0, 350.0] * 10), OLD, GOAL, SICK, Reason.EDITION_SLOW, id="evenly too slow"
        ),
        pytest.param(
            second_by_second([400.0] * 20), OLD, P95, SICK, Reason.EDITION_SLOW, id="its percentile is beyond"
        ),
        pytest.param(
            second_by_second([200.0] * 20), OLD, P95, SOUND, Reason.EDITION_SOUND, id="its percentile is fine"
        ),
        pytest.param(
            seen(160), OLD, NO_GOAL, SICK, Reason.EDITION_SLOW, id="no goal: much slower than before"
        ),
        pytest.param(seen(140), OLD, NO_GOAL, SOUND, Reason.EDITION_SOUND, id="no goal: a little slower"),
        pytest.param(
            seen(900), Evidence(), NO_GOAL, SOUND, Reason.EDITION_SOUND, id="no goal, nothing to compare with"
        ),
        pytest.param(
            seen(100, requests=300, errors=12),
            seen(100, requests=2700, errors=3),
            GOAL,
            SICK,
            Reason.EDITION_ERRORS,
            id="the worked example",
        ),
        pytest.param(
            seen(100, requests=300, errors=12),
            seen(100, requests=2700, errors=110),
            GOAL,
            SOUND,
            Reason.EDITION_SOUND,
            id="errors, but no more than before",
        ),
        pytest.param(
            seen(100, requests=300, errors=4), OLD, GOAL, SOUND, Reason.EDITION_SOUND, id="a few errors"
        ),
        pytest.param(
            seen(100, requests=300, errors=40),
            Evidence(),
            GOAL,
            SICK,
            Reason.EDITION_ERRORS,
            id="many errors and nothing to compare with",
        ),
        pytest.param(Evidence(), OLD, GOAL, UNSURE, Reason.NOT_ENOUGH_REQUESTS, id="no requests at all"),
    ],
)
def test_finding(new: Evidence, old: Evidence, goal: Goal, judgement: Judgement, reason: Reason) -> None:
    found = judge(new, old, goal, min_requests=100)
    assert (found.judgement, found.reason) == (judgement, reason)


def test_what_warming_servers_take_is_not_held_against_them_but_errors_are() -> None:
    cold = Evidence().plus(100, 60, 90_000.0, histogram(900, 100), True)
    assert (cold.timed, cold.requests, cold.errors) == (0, 100, 60)
    assert judge(cold, OLD, GOAL, 100).reason is Reason.EDITION_ERRORS


def test_the_figures_are_told() -> None:
    told = dict(judge(seen(900), OLD, GOAL, 100).inputs)
    assert (told["new_ms"], told["old_ms"], told["target_ms"]) == (900.0, 100.0, 300.0)
