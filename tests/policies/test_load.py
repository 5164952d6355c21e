"""What is expected of the load: levels, surges, ramps, noise."""

from collections.abc import Callable
from random import Random

import pytest

from millpond_policies.learn.learning import Memory, learn, learn_start
from millpond_policies.learn.load import Load

from policies.building import GOAL, NOW, sample


def loads(rate: Callable[[int], float], seconds: int, start_s: float = 1.5) -> list[Load]:
    """The state after every second of a load."""
    memory, seen = learn_start(Memory(), start_s), []
    for i in range(seconds):
        memory = learn(memory, sample(NOW + i, rate(i), 1, in_flight=0), GOAL)
        seen.append(memory.load)
    return seen


def poisson(mean: float, seed: int) -> Callable[[int], float]:
    rng = Random(seed)

    def rate(_: int) -> float:
        at, n = rng.expovariate(mean), 0
        while at < 1:
            at, n = at + rng.expovariate(mean), n + 1
        return n

    return rate


def test_an_even_load_is_expected_to_go_on() -> None:
    assert loads(lambda i: 50, 60)[-1].expected_rps == pytest.approx(50)


def test_a_step_is_believed_after_two_seconds_and_nothing_before_it_counts() -> None:
    seen = loads(lambda i: 50 if i < 60 else 130, 64)
    assert seen[60].settling
    assert seen[60].expected_rps == pytest.approx(50)
    assert seen[61].level_rps == 130
    assert not seen[61].settling


def test_the_partial_second_of_a_step_is_not_taken_for_its_level() -> None:
    seen = loads(lambda i: 50 if i < 60 else 85 if i == 60 else 130, 64)
    assert seen[61].settling
    assert seen[62].level_rps == 130


def test_a_single_second_is_no_new_level() -> None:
    seen = loads(lambda i: 130 if i == 60 else 50, 70)
    assert seen[-1].level_rps == pytest.approx(50, rel=0.1)
    assert max(s.expected_rps or 0 for s in seen) < 80


def test_a_ramp_is_followed_to_the_horizon() -> None:
    """2/s more every second, of full use 50 s after the order: at 120/s it is 220 by then, and surely 150."""
    expected = loads(lambda i: 20 + 2 * i, 51, start_s=30)[-1].expected_rps
    assert expected is not None
    assert 150 < expected <= 240


def test_no_ramp_is_followed_beyond_twice_the_level() -> None:
    seen = loads(lambda i: 20 + 5 * i, 60, start_s=300)[-1]
    assert (seen.expected_rps or 0) <= 2 * 320


def test_a_fall_is_believed_after_five_seconds() -> None:
    seen = loads(lambda i: 130 if i < 60 else 12, 70)
    assert seen[62].level_rps == pytest.approx(130)
    assert seen[66].level_rps == 12


def test_the_window_remembers_its_peak() -> None:
    seen = loads(lambda i: 130 if i < 60 else 12, 90)
    assert seen[74].peak_rps(NOW + 74, 20) == pytest.approx(130 * seen[74].margin)
    assert (seen[89].peak_rps(NOW + 89, 20) or 0) < 15


@pytest.mark.parametrize("mean", [3, 30, 300])
def test_poisson_noise_teaches_no_margin_and_is_taken_for_nothing_else(mean: float) -> None:
    seen = loads(poisson(mean, seed=3), 600)[120:]
    assert seen[-1].margin < 1.05
    assert seen[-1].dispersion == pytest.approx(1, rel=0.5)
    expected = sorted(s.expected_rps or 0 for s in seen)
    assert expected[len(expected) // 2] == pytest.approx(mean, rel=0.12)
    assert expected[int(len(expected) * 0.98)] < mean * (1 + 2.2 / mean**0.5)


def test_loads_that_surprise_teach_a_margin() -> None:
    """Every 40 s a ramp of 12 s that no line can foresee at its foot."""
    seen = loads(lambda i: 50 + 4 * max(0, i % 40 - 28), 900, start_s=10)
    assert seen[-1].margin > 1.1


def test_silence_is_not_zero() -> None:
    memory = learn(Memory(), sample(NOW, 50, 1, in_flight=0), GOAL)
    memory = learn(memory, sample(NOW + 60, 0, 1, in_flight=0), GOAL)
    assert memory.load.since_s == NOW + 60
    assert not memory.window_full(NOW + 60)
