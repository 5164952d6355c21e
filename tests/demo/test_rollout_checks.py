"""The checks of a run with rollouts say yes to a good run, and no, with the figure, to each way of going wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from millpond.demo.judge import rollout_checks as checks
from millpond.demo.recording import Arrival, Moment, Ready, Recording
from millpond.demo.requests.answers import Answer
from millpond.demo.scenario import Check, Scenario

from .made_up_rollout import MOMENTS, READY, SCENARIO, answers, moment, recording

GOOD = recording()
ALL = (
    checks.each_request_worked_on_once,
    checks.sessions_stay,
    checks.each_step_ended,
    checks.found_at_the_first_step,
    checks.kept_to_its_share,
    checks.others_were_spared,
    checks.never_below_the_need,
    checks.first_request_in_time,
)
Judge = Callable[[Scenario, Recording], tuple[Check, ...]]


def failures(judge: Judge, run: Recording) -> list[str]:
    return [f"{c.name}: {c.measured}" for c in judge(SCENARIO, run) if not c.passed]


def test_a_good_run_passes_every_check() -> None:
    found = [check for judge in ALL for check in judge(SCENARIO, GOOD)]
    assert [check for check in found if not check.passed] == []
    assert len({check.name for check in found}) == len(found) == 10


@pytest.mark.parametrize(
    ("processed", "told"),
    [
        pytest.param({"demo-7": []}, "1 answered, but worked on by no server: demo-7", id="lost"),
        pytest.param({"demo-7": ["a", "a"]}, "1 worked on more than once: demo-7", id="doubled"),
        pytest.param({"demo-9999": ["a"]}, "1 worked on, but never sent: demo-9999", id="made up"),
    ],
)
def test_a_request_that_is_not_worked_on_exactly_once_is_named(
    processed: dict[str, list[str]], told: str
) -> None:
    run = replace(GOOD, processed={**GOOD.processed, **processed})
    (failure,) = failures(checks.each_request_worked_on_once, run)
    assert told in failure


def test_a_request_without_an_answer_on_record_fails_the_run() -> None:
    run = replace(GOOD, answers=GOOD.answers[:-1])
    assert failures(checks.each_request_worked_on_once, run) != []


def moved() -> tuple[Answer, ...]:
    found = list(answers())
    last = max(n for n, a in enumerate(found) if a.session == "s12")
    found[last] = replace(found[last], edition="v9")
    return tuple(found)


def test_a_session_that_moves_is_named() -> None:
    (failure,) = failures(checks.sessions_stay, recording(moved()))
    assert "s12 from v1 to v9" in failure


def test_sessions_that_no_rollout_met_prove_nothing() -> None:
    (failure,) = failures(checks.sessions_stay, replace(GOOD, moments=()))
    assert "0 of them while editions changed" in failure


@pytest.mark.parametrize(
    ("moments", "measured"),
    [
        pytest.param(MOMENTS[:-1], "Progressing (NextStep), v2 serves", id="it never ended"),
        pytest.param(
            (*MOMENTS[:-1], moment(50, "v3", "RolledBack", 1, 0, "DeadlineExceeded")),
            "RolledBack (DeadlineExceeded), v2 serves",
            id="for another reason",
        ),
        pytest.param(
            (*MOMENTS[:-1], moment(50, "v3", "Completed", 2, 100, "TookOver")),
            "Completed (TookOver), v3 serves",
            id="the sick one took over",
        ),
        pytest.param(MOMENTS[:4], "its rollout never began", id="it never began"),
    ],
)
def test_how_each_rollout_ended(moments: tuple[Moment, ...], measured: str) -> None:
    (failure,) = failures(checks.each_step_ended, replace(GOOD, moments=moments))
    assert failure.startswith(f"Rollout of v3: {measured}")


def test_a_sick_edition_that_reached_its_second_step_was_found_too_late() -> None:
    later = (*MOMENTS[:-1], moment(48, "v3", "Progressing", 2, 100, "NextStep"), MOMENTS[-1])
    (failure,) = failures(checks.found_at_the_first_step, replace(GOOD, moments=later))
    assert "at step 2" in failure


def on_v3(share: int, until_s: float = 50) -> tuple[Answer, ...]:
    """One in `share` new sessions goes to v3 from second 40 on."""
    return tuple(
        replace(a, edition="v3") if not a.session and 40 <= a.t_s < until_s and n % share == 0 else a
        for n, a in enumerate(answers())
    )


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(on_v3(2), id="half of them instead of a fifth"),
        pytest.param(on_v3(5, until_s=55), id="still some after it was taken back"),
        pytest.param(tuple(replace(a, edition="v2") for a in answers()), id="none at all: nothing was tried"),
    ],
)
def test_a_sick_edition_that_gets_more_than_its_share(found: tuple[Answer, ...]) -> None:
    assert failures(checks.kept_to_its_share, recording(found)) != []


def test_the_edition_that_serves_must_meet_the_goal_while_another_one_is_tried() -> None:
    slowed = tuple(replace(a, took_s=0.5) if 40 <= a.t_s < 50 else a for a in answers())
    (failure,) = failures(checks.others_were_spared, recording(slowed))
    assert "500 ms on average" in failure


@pytest.mark.parametrize(
    ("ready", "failed"),
    [
        pytest.param(READY, [], id="two at each moment"),
        pytest.param(
            (*READY[:2], Ready(t_s=26.0, servers={"v2": 1}), *READY[2:]),
            ["Never fewer than 2 servers: from 1 to 4"],
            id="one for a moment",
        ),
        pytest.param(
            (*READY[:4], Ready(t_s=45.0, servers={"v2": 1, "v3": 1}), READY[4]),
            ["Servers of v2 while v3 was tried: never fewer than 1"],
            id="the one that is tried does not count",
        ),
    ],
)
def test_servers_never_fall_below_the_need(ready: tuple[Ready, ...], failed: list[str]) -> None:
    assert failures(checks.never_below_the_need, replace(GOOD, ready=ready)) == failed


def test_the_first_request_must_follow_the_start_of_the_server_at_once() -> None:
    late = (Arrival(t_s=1.0, edition="v2", created_s=2.0, up_s=3.0),)
    (failure,) = failures(checks.first_request_in_time, replace(GOOD, arrivals=late))
    assert failure.endswith("9.0 s, of which 1.0 s for the start of its server")
    (failure,) = failures(checks.first_request_in_time, replace(GOOD, arrivals=()))
    assert failure.endswith("none came")
