"""Load that moves from one edition to another is no more load."""

from dataclasses import replace

import pytest

from millpond_policies.learn.learning import Memory, learn
from millpond_policies.size.combined import combined
from millpond_policies.size.sizing import size
from millpond_policies.world.model import EditionView, Freshness

from policies.building import FOUR_SLOTS, GOAL, NOW, app, sample, serving

RATE = 64  # a second: two servers of 36 each


def moving(seconds: int, over_s: int) -> tuple[Memory, Memory]:
    """v1 and v2 after a minute of even load on v1 and ``seconds`` in which it goes over to v2."""
    old, new = FOUR_SLOTS, Memory(start_s=1.5)
    for i in range(60 + seconds):
        at = NOW - seconds - 60 + i
        share = min(1.0, max(0, i - 59) / over_s)
        old = learn(old, sample(at, RATE * (1 - share), 2), GOAL)
        new = learn(new, sample(at, RATE * share, 2), GOAL)
    return old, new


def needed(old: Memory, new: Memory) -> int | None:
    views = tuple(
        EditionView(name=name, ordered=2, memory=memory, freshness=Freshness.FRESH)
        for name, memory in (("v1", old), ("v2", new))
    )
    both = app((*serving(2), *serving(2, "v2")), edition="v2", active="v1", editions=views)
    return size(both, views[0], NOW).needed


@pytest.mark.parametrize("over_s", [1, 5, 10, 30])
@pytest.mark.parametrize("seconds", [2, 5, 10, 20, 40])
def test_a_swap_under_even_load_needs_no_server_more(seconds: int, over_s: int) -> None:
    assert needed(*moving(seconds, over_s)) == 2


def test_each_editions_own_forecast_would_count_it_twice() -> None:
    """Why it is done: the same moment, edition by edition."""
    old, new = moving(5, 10)
    apart = sum(m.load.forecast_rps or 0.0 for m in (old, new))
    together = combined((old, new), old)
    assert together is not None
    assert apart > 1.2 * RATE
    assert together.forecast_rps is not None
    assert together.forecast_rps < 1.1 * RATE


def test_more_load_during_a_swap_is_seen() -> None:
    old, new = moving(10, 10)
    for i in range(10):
        old = learn(old, sample(NOW + i, 50, 2), GOAL)
        new = learn(new, sample(NOW + i, 50, 2), GOAL)
    together = combined((old, new), old)
    assert together is not None
    assert together.forecast_rps is not None
    assert together.forecast_rps >= 100


def test_one_edition_alone_is_left_to_its_own_load() -> None:
    old, _ = moving(5, 10)
    assert combined((old, Memory()), old) is None
    quiet = replace(Memory(), recent=())
    assert combined((old, quiet), old) is None
