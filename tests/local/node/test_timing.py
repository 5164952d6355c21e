"""Restart back-off and probe verdicts: pure arithmetic."""

from itertools import pairwise
from typing import Any

import pytest

from millpond.local.node.containers.backoff import Backoff
from millpond.local.node.containers.probes import Probe, Streak


def _waits(ends_s: list[float]) -> list[float]:
    backoff, waits = Backoff(base_s=10), []
    for at_s in ends_s:
        backoff = backoff.after_end(at_s)
        waits.append(backoff.wait_s)
    return waits


def test_the_first_restart_is_immediate_and_then_waits_double_to_five_minutes() -> None:
    assert _waits([1000.0 + i for i in range(8)]) == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_ran_long_starts_over() -> None:
    assert _waits([0, 1, 2, 1000, 1001]) == [0, 10, 20, 0, 10]


def _probe(**spec: Any) -> Probe:
    probe = Probe.of({"readinessProbe": {"exec": {}, **spec}}, "readinessProbe")
    assert probe
    return probe


def test_a_probe_has_kubernetes_defaults() -> None:
    probe = _probe()
    assert (probe.period_s, probe.timeout_s, probe.success_threshold, probe.failure_threshold) == (
        10,
        1,
        1,
        3,
    )


def test_no_probe_is_none() -> None:
    assert Probe.of({}, "livenessProbe") is None


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        pytest.param("+", "+", id="one success is enough by default"),
        pytest.param("---", "??-", id="unknown until three failures in a row"),
        pytest.param("+--+--+", "+++++++", id="two failures in a row are not enough"),
        pytest.param("+---", "+++-", id="the third one is"),
        pytest.param("---+", "??-+", id="and one success brings it back"),
    ],
)
def test_a_verdict_needs_enough_equal_answers_in_a_row(answers: str, verdicts: str) -> None:
    streak, seen = Streak(_probe()), ""
    for answer in answers:
        streak.add(answer == "+")
        seen += {None: "?", True: "+", False: "-"}[streak.verdict]
    assert seen == verdicts


def test_only_a_change_of_the_verdict_is_told() -> None:
    streak = Streak(_probe(successThreshold=2, failureThreshold=1))
    assert [streak.add(ok) for ok in (True, True, True, False, False, True)] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]


def test_waits_never_shrink_while_it_keeps_crashing() -> None:
    assert all(a <= b for a, b in pairwise(_waits([i * 300.0 for i in range(1, 20)])))
