"""A profile brings exactly the requests that its rates promise."""

import pytest

from millpond.demo.requests.profile import Profile

SURGE = Profile.steps((30, 12), (50, 52), (60, 130))


@pytest.mark.parametrize(
    ("profile", "count"),
    [
        pytest.param(SURGE, 30 * 12 + 50 * 52 + 60 * 130, id="steps: each hold times its rate"),
        pytest.param(Profile(((0, 0), (10, 20))), 100, id="a ramp: the area under it"),
        pytest.param(Profile(((0, 20), (10, 0))), 100, id="a ramp down: the area under it"),
        pytest.param(Profile.steps((5, 4), (60, 0), (5, 4)), 40, id="a pause brings nothing"),
    ],
)
def test_even_arrivals_are_as_many_as_the_area_under_the_profile(profile: Profile, count: int) -> None:
    arrivals = list(profile.arrivals_s())
    assert len(arrivals) == count
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] < profile.duration_s


def test_poisson_arrivals_differ_by_seed_and_repeat_with_the_same() -> None:
    first, again, other = (list(SURGE.arrivals_s("poisson", seed)) for seed in (1, 1, 2))
    assert first == again != other
    expected = 30 * 12 + 50 * 52 + 60 * 130
    assert abs(len(first) - expected) < 5 * expected**0.5


def test_at_a_step_the_rate_is_the_one_after_it() -> None:
    assert [SURGE.rate_rps(t) for t in (0, 29.9, 30, 80, 139, 141)] == [12, 12, 52, 130, 130, 0]
    assert SURGE.jumps() == ((30, 12, 52), (80, 52, 130))


def test_compressing_shortens_the_holds_and_keeps_the_rates() -> None:
    assert SURGE.compressed(2) == Profile.steps((15, 12), (25, 52), (30, 130))


def test_compressing_leaves_the_last_hold_the_time_it_needs_but_never_more_than_it_had() -> None:
    assert SURGE.compressed(2, last_s=40) == Profile.steps((15, 12), (25, 52), (40, 130))
    assert SURGE.compressed(2, last_s=90) == Profile.steps((15, 12), (25, 52), (60, 130))


def test_a_profile_survives_json() -> None:
    assert Profile.from_json(SURGE.to_json()) == SURGE


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(((0, 1),), id="one corner only"),
        pytest.param(((5, 1), (6, 1)), id="does not begin at 0 s"),
        pytest.param(((0, 1), (5, 1), (4, 1)), id="time goes back"),
        pytest.param(((0, 1), (5, -1)), id="negative rate"),
        pytest.param(((0, 1), (5, float("inf"))), id="infinite rate"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="profile"):
        Profile(points)
