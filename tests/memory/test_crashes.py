"""Killed right before or after any of its writes, the operator's successor ends where an undisturbed one does.

In all cases: the same final state, the same creations and deletions, no server removed that was not drained, never
fewer servers than the floor, and silence in the end. By default every eighth of the cases; with `long` all of them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from millpond.control.drain import retire
from millpond.router.xds.control import Published

from memory.crashes import SUCCESSIONS, Succession, recorded, survived, undisturbed
from memory.routers import Control
from memory.scenarios import SCENARIOS

SPREAD = 8

scenarios = pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[s.name for s in SCENARIOS])


@scenarios
def test_whenever_the_operator_dies_the_outcome_is_the_same(number: int) -> None:
    for turn, succession in enumerate(SUCCESSIONS):
        _outlived(number, succession, slice(turn % SPREAD, None, SPREAD))


@pytest.mark.long
@pytest.mark.timeout(900)
@scenarios
@pytest.mark.parametrize("succession", SUCCESSIONS, ids=lambda s: s.name)
def test_after_each_single_write(number: int, succession: Succession) -> None:
    _outlived(number, succession, slice(None))


def _outlived(number: int, succession: Succession, which: slice) -> None:
    found = undisturbed(number)
    for moment in found.moments[which]:
        wrong = survived(SCENARIOS[number], found, moment, succession)
        assert not wrong, f"{succession.name}, {moment.write}: {wrong}"


def _named(scenario: str, succession: str) -> tuple[int, Succession]:
    number = next(n for n, s in enumerate(SCENARIOS) if s.name == scenario)
    return number, next(s for s in SUCCESSIONS if s.name == succession)


@pytest.mark.parametrize("late", ["its caches late", "its sets late", "its apps late", "its pods late"])
def test_a_successor_that_does_not_see_the_new_edition_yet_goes_on_with_its_rollout(late: str) -> None:
    number, succession = _named("Rolling", late)
    _outlived(number, succession, slice(2, 12, 2))


def forgets_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not wait until the ReplicaSet counts the victim unready."""
    step = retire.next_step

    def hasty(*args: Any, **known: Any) -> Any:
        found = step(*args, **known)
        return retire.RetireStep.REMOVE if found is retire.RetireStep.REPLICASET else found

    monkeypatch.setattr(retire, "next_step", hasty)


def forgets_the_routers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes for acknowledged what was only published."""

    def published(self: Control) -> Published:
        everything = frozenset(self.target)
        return Published(confirmed=everything, routed=everything, rejected={}, waiting=())

    monkeypatch.setattr(Control, "published", published)


@pytest.mark.parametrize(
    ("forgets", "late", "scenario", "rps", "says"),
    [
        (forgets_the_controller, "the controller's pods late", "up and down", 20.0, "was never named"),
        (forgets_the_routers, "a router late", "retire", 0.0, "while routers send it requests"),
    ],
    ids=["the ReplicaSet controller", "a router"],
)
def test_a_product_that_does_not_wait_is_found_out(
    forgets: Callable[[pytest.MonkeyPatch], None],
    late: str,
    scenario: str,
    rps: float,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number, succession = _named(scenario, late)
    played = replace(SCENARIOS[number], rps=rps)  # requests in flight would hold up who forgets the routers
    found = recorded(played)
    forgets(monkeypatch)
    wrong = (survived(played, found, moment, succession) for moment in found.moments)
    assert any(says in text for texts in wrong for text in texts)
