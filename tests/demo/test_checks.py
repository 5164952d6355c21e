"""The checks say yes to a good run, and no, with the figure, to each way of going wrong."""

from dataclasses import replace

import pytest

from millpond.demo.judge import checks
from millpond.demo.recording import Recording, Second

from .made_up import ORDERS, SCENARIO, recording, seconds, silent

GOOD = recording()
ALL = (
    checks.sequence,
    checks.first_server_in_time,
    checks.decided_quickly,
    checks.recovered_after_each_rise,
    checks.nothing_beyond_the_need,
    checks.no_failed_request,
    checks.routers_saw_every_request,
)


def test_a_good_run_passes_every_check() -> None:
    found = [check for judge in ALL for check in judge(SCENARIO, GOOD)]
    assert [check for check in found if not check.passed] == []
    assert len({check.name for check in found}) == len(found) == 9


@pytest.mark.parametrize(
    ("orders", "passed"),
    [
        pytest.param(ORDERS, True, id="up in the scenario's steps, down one at a time"),
        pytest.param(((0, 1), (11, 2), (31, 4), (60, 1)), True, id="down in one step is fine, too"),
        pytest.param(((0, 1), (11, 2), (31, 3), (32, 4), (60, 1)), False, id="another value on the way up"),
        pytest.param(((0, 1), (11, 4), (60, 1)), False, id="a step left out"),
        pytest.param(((0, 1), (11, 2), (31, 5), (60, 1)), False, id="one too many"),
        pytest.param(((0, 1), (11, 2), (31, 4), (60, 2)), False, id="not back to the start"),
        pytest.param(
            ((0, 1), (11, 2), (31, 4), (60, 3), (65, 4), (70, 1)), False, id="up again on the way down"
        ),
        pytest.param(((0, 1),), False, id="nothing ever ordered"),
    ],
)
def test_the_sequence_of_orders(orders: tuple[tuple[float, int], ...], passed: bool) -> None:
    (check,) = checks.sequence(SCENARIO, recording(orders))
    assert check.passed is passed
    assert check.measured == " → ".join(str(n) for _, n in orders)


def test_without_any_order_the_sequence_fails_and_says_so() -> None:
    (check,) = checks.sequence(SCENARIO, replace(GOOD, orders=()))
    assert (check.passed, check.measured) == (False, "no order seen")


@pytest.mark.parametrize(
    ("first_order_s", "passed"),
    [
        pytest.param(10.5, True, id="before the goal is exceeded"),
        pytest.param(13, True, id="while it is exceeded, not yet three seconds long"),
        pytest.param(20, False, id="long after"),
    ],
)
def test_the_first_server_comes_no_later_than_the_first_sustained_excess(
    first_order_s: float, passed: bool
) -> None:
    (check,) = checks.first_server_in_time(SCENARIO, recording(((0, 1), (first_order_s, 2), (60, 1))))
    assert check.passed is passed


def _second(t_s: int, response_ms: float | None) -> Second:
    return Second(t_s=t_s, rate_rps=1, response_ms=response_ms, servers_ready=1, servers_desired=1)


@pytest.mark.parametrize(
    ("responses_ms", "excess_s"),
    [
        pytest.param([100, 301, 301, 301, 100], 4.0, id="three seconds in a row: at the end of the third"),
        pytest.param([301, 301, 100, 301, 301], None, id="two in a row are not sustained"),
        pytest.param([300, 300, 300, 300], None, id="exactly the goal does not exceed it"),
        pytest.param([301, 301, None, 301], None, id="a second without answers says nothing"),
        pytest.param([], None, id="no second at all"),
    ],
)
def test_sustained_excess(responses_ms: list[float | None], excess_s: float | None) -> None:
    rows = [_second(t, response) for t, response in enumerate(responses_ms)]
    assert checks.sustained_excess_s(rows, 300) == excess_s


@pytest.mark.parametrize(
    ("orders", "passed"),
    [
        pytest.param(ORDERS, [True, True], id="0.4 s and 0.2 s after the first second"),
        pytest.param(((0, 1), (14, 2), (34.9, 4)), [True, False], id="3.0 s is in time, 3.9 s is not"),
        pytest.param(((0, 1), (11, 2)), [True, False], id="never for the second step"),
        pytest.param(((0, 1), (9, 2), (31, 4)), [True], id="a step that was met ahead needs no decision"),
    ],
)
def test_decisions_come_within_three_seconds(
    orders: tuple[tuple[float, int], ...], passed: list[bool]
) -> None:
    found = checks.decided_quickly(SCENARIO, recording(orders))
    assert [check.passed for check in found] == passed


def test_the_time_to_recover_grows_with_the_backlog() -> None:
    first, second = checks.recovered_after_each_rise(SCENARIO, GOOD)
    assert first.name.endswith("1 → 2")
    assert second.name.endswith("2 → 4")
    late = checks.recovered_after_each_rise(SCENARIO, recording(start_s=8))
    assert float(late[0].goal.split()[1]) > float(first.goal.split()[1])


def test_servers_that_never_become_ready_fail_the_recovery() -> None:
    stuck = tuple(replace(row, servers_ready=1) for row in GOOD.seconds)
    found = checks.recovered_after_each_rise(SCENARIO, replace(GOOD, seconds=stuck))
    assert [(c.passed, c.measured) for c in found] == [(False, "they never became ready")] * 2


def test_silence_is_no_recovery() -> None:
    found = checks.recovered_after_each_rise(SCENARIO, silent(GOOD, since_s=32))
    assert [c.passed for c in found] == [True, False]


def test_a_response_that_stays_above_the_goal_is_no_recovery() -> None:
    slow = tuple(replace(row, response_ms=400) for row in seconds())
    found = checks.recovered_after_each_rise(SCENARIO, replace(GOOD, seconds=slow))
    assert [(c.passed, c.measured) for c in found] == [(False, "never")] * 2


@pytest.mark.parametrize(
    ("run", "passed"),
    [
        pytest.param(GOOD, True, id="as many as needed"),
        pytest.param(recording(needed=3), False, id="four ordered where three are needed"),
        pytest.param(recording(needed=7), True, id="fewer than needed, for a limit forbids more"),
        pytest.param(replace(GOOD, decisions=()), False, id="an order without a recorded decision"),
    ],
)
def test_no_server_beyond_what_the_model_needs(run: Recording, passed: bool) -> None:
    (check,) = checks.nothing_beyond_the_need(SCENARIO, run)
    assert check.passed is passed


def test_one_failed_request_fails_the_run_and_is_named() -> None:
    (check,) = checks.no_failed_request(SCENARIO, recording(failed=1))
    assert not check.passed
    assert "1 timeout" in check.measured


@pytest.mark.parametrize(
    ("run", "measured"),
    [
        pytest.param(recording(unseen=1), "4119", id="a request that no router saw"),
        pytest.param(recording(unseen=-1), "4121", id="a request that routers saw twice"),
        pytest.param(replace(GOOD, routed=None), "unknown", id="routers that can't be asked"),
    ],
)
def test_routers_must_have_seen_exactly_what_was_sent(run: Recording, measured: str) -> None:
    (check,) = checks.routers_saw_every_request(SCENARIO, run)
    assert (check.passed, check.measured) == (False, measured)
