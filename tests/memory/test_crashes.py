"""Killed right before or after any of its writes, the operator's successor ends where an undisturbed one does.

In all cases: the same final state, the same creations and deletions, no server removed that was not drained, never
fewer servers than the floor, and silence in the end. By default every eighth of the cases; with `long` all of them.
"""

import pytest

from memory.crashes import SUCCESSIONS, Succession, survived, undisturbed
from memory.scenarios import SCENARIOS

SPREAD = 8

scenarios = pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[s.name for s in SCENARIOS])


@scenarios
def test_whenever_the_operator_dies_the_outcome_is_the_same(number: int) -> None:
    for turn, succession in enumerate(SUCCESSIONS):
        _outlived(number, succession, slice(turn % SPREAD, None, SPREAD))


@pytest.mark.long
@scenarios
@pytest.mark.parametrize("succession", SUCCESSIONS, ids=lambda s: s.name)
def test_after_each_single_write(number: int, succession: Succession) -> None:
    _outlived(number, succession, slice(None))


def _outlived(number: int, succession: Succession, which: slice) -> None:
    found = undisturbed(number)
    for moment in found.moments[which]:
        wrong = survived(SCENARIOS[number], found, moment, succession)
        assert not wrong, f"{succession.name}, {moment.write}: {wrong}"


@pytest.mark.parametrize("late", ["its caches late", "its sets late", "its apps late", "its pods late"])
def test_a_successor_that_does_not_see_the_new_edition_yet_goes_on_with_its_rollout(late: str) -> None:
    number = next(n for n, s in enumerate(SCENARIOS) if s.name == "Rolling")
    succession = next(s for s in SUCCESSIONS if s.name == late)
    _outlived(number, succession, slice(2, 12, 2))


def test_what_is_not_as_it_was_is_noticed() -> None:
    """The comparison itself: a cluster in which one thing went on for longer is not the same one."""
    retire = next(n for n, s in enumerate(SCENARIOS) if s.name == "retire")
    creation = next(n for n, s in enumerate(SCENARIOS) if s.name == "creation")
    moment = undisturbed(retire).moments[-1]
    assert survived(SCENARIOS[retire], undisturbed(creation), moment, SUCCESSIONS[1])
