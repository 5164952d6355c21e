"""When a draining server has finished: requests, sessions and streams, each with its own rule and deadline."""

import pytest

from millpond.control.drain.quiet import Activity, Quiet
from millpond.control.drain.retire import RetireStep
from millpond.control.observe.objects import RetireIntent

START_S = 1000.0
INTENT = RetireIntent(
    uid="a",
    since_s=START_S,
    deadline_s=START_S + 30,
    streams_deadline_s=START_S + 60,
    reason="LoadFell",
)
Seen = tuple[float, int, int, int | None]  # seconds after the acknowledgement, requests, streams, total


def watched(*seen: Seen) -> Quiet:
    quiet = Quiet(since_s=START_S)
    for after_s, requests, streams, total in seen:
        quiet.saw(Activity(at_s=START_S + after_s, requests=requests, streams=streams, total=total))
    return quiet


def busy(quiet: Quiet, after_s: float, session_timeout_s: float | None = None) -> RetireStep | None:
    return quiet.busy(INTENT, session_timeout_s, START_S + after_s)


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        pytest.param([], RetireStep.REQUESTS, id="nothing known: wait"),
        pytest.param([(1, 0, 0, None)], RetireStep.REQUESTS, id="one look is not enough"),
        pytest.param(
            [(1, 0, 0, None), (1, 0, 0, None)], RetireStep.REQUESTS, id="the same look twice is one"
        ),
        pytest.param(
            [(0, 0, 0, None), (1, 0, 0, None)], RetireStep.REQUESTS, id="before the acknowledgement: no look"
        ),
        pytest.param([(1, 0, 0, None), (1.1, 0, 0, None)], None, id="two looks: finished"),
        pytest.param(
            [(1, 0, 0, None), (1.1, 2, 0, None), (2, 0, 0, None)], RetireStep.REQUESTS, id="not in a row"
        ),
        pytest.param(
            [(1.1, 0, 0, None), (1, 0, 0, None)], RetireStep.REQUESTS, id="an older one comes too late"
        ),
        pytest.param([(1, 0, 1, None), (2, 0, 1, None)], RetireStep.STREAMS, id="a stream is open"),
        pytest.param([(1, 3, 1, None), (2, 3, 1, None)], RetireStep.REQUESTS, id="requests and a stream"),
    ],
)
def test_finished_means_nothing_in_flight_on_two_looks_in_a_row(seen, step):
    assert busy(watched(*seen), 3) is step


def test_looks_that_are_too_old_prove_nothing():
    quiet = watched((1, 0, 0, None), (2, 0, 0, None))
    assert busy(quiet, 5) is None
    assert busy(quiet, 5.1) is RetireStep.REQUESTS


def test_a_visitor_who_waits_for_a_long_answer_has_not_left():
    """The clock of his session starts with the answer, not with the request."""
    quiet = watched((1, 1, 0, 7), (5, 1, 0, 7), (6, 0, 0, 7), (9, 0, 0, 7), (10, 0, 0, 7))
    assert quiet.still_s == 5
    assert busy(quiet, 10, session_timeout_s=6) is RetireStep.SESSIONS
    assert busy(quiet, 10, session_timeout_s=5) is None


@pytest.mark.parametrize(
    ("seen", "after_s", "step"),
    [
        pytest.param(
            [(28, 2, 0, None), (29, 2, 0, None)],
            29.9,
            RetireStep.REQUESTS,
            id="requests, before their deadline",
        ),
        pytest.param([(29, 2, 0, None), (30, 2, 0, None)], 30, None, id="requests at their deadline: go on"),
        pytest.param(
            [(29, 2, 1, None), (30, 2, 1, None)], 30, RetireStep.STREAMS, id="streams have a later one"
        ),
        pytest.param([(58, 2, 1, None), (59, 2, 1, None)], 60, None, id="streams at theirs: go on"),
        pytest.param([], 59, RetireStep.STREAMS, id="nothing known: the last deadline counts"),
        pytest.param([], 60, None, id="and is kept"),
    ],
)
def test_requests_and_streams_have_a_deadline_each(seen, after_s, step):
    assert busy(watched(*seen), after_s) is step


@pytest.mark.parametrize(
    ("seen", "after_s", "step"),
    [
        pytest.param([(1, 0, 0, 7), (2, 0, 0, 7)], 2, RetireStep.SESSIONS, id="still for a second only"),
        pytest.param([(1, 0, 0, 7), (6, 0, 0, 7)], 6, None, id="still for as long as was asked"),
        pytest.param(
            [(1, 0, 0, 7), (4, 0, 0, 8), (6, 0, 0, 8)], 6, RetireStep.SESSIONS, id="somebody came in between"
        ),
        pytest.param(
            [(1, 0, 0, 8), (4, 0, 0, 7), (6, 0, 0, 7)],
            6,
            RetireStep.SESSIONS,
            id="a router counts anew: so do we",
        ),
        pytest.param(
            [(1, 0, 0, 7), (5, 0, 0, 7)], 7.9, RetireStep.SESSIONS, id="what was not watched does not count"
        ),
        pytest.param(
            [(1, 0, 0, 7), (5, 0, 0, None), (7, 0, 0, None)],
            7,
            RetireStep.SESSIONS,
            id="looks without a total",
        ),
        pytest.param([(29, 0, 0, 7), (30, 0, 0, 8)], 30, None, id="at the deadline they end"),
    ],
)
def test_sessions_have_ended_when_no_request_came_for_the_session_timeout(seen, after_s, step):
    assert busy(watched(*seen), after_s, session_timeout_s=5) is step


def test_a_new_operator_waits_the_whole_session_timeout_once_more_and_keeps_the_deadline():
    before = watched((1, 0, 0, 7), (6, 0, 0, 7))
    assert busy(before, 6, session_timeout_s=5) is None
    after = Quiet(since_s=START_S + 6)
    for at_s in (7, 8):
        after.saw(Activity(at_s=START_S + at_s, requests=0, total=0))
    assert busy(after, 8, session_timeout_s=5) is RetireStep.SESSIONS
    assert (
        busy(after, 30, session_timeout_s=5) is RetireStep.STREAMS
    )  # no fresh look: only streams may still be there


@pytest.mark.parametrize(
    ("seen", "after_s", "words"),
    [
        pytest.param([(1, 0, 0, 7), (6, 0, 0, 7)], 6, None, id="nothing"),
        pytest.param([(1, 3, 1, 7)], 2, "3 requests and 1 stream unfinished", id="counted"),
        pytest.param([(1, 1, 2, 7)], 2, "1 request and 2 streams unfinished", id="counted apart"),
        pytest.param([], 2, "an unknown number of requests and streams unfinished", id="never seen"),
        pytest.param(
            [(1, 0, 0, 7)], 9, "an unknown number of requests and streams unfinished", id="not lately"
        ),
        pytest.param(
            [(1, 0, 0, 6), (2, 0, 0, 7)], 2, "sessions that go on: another server gets them", id="sessions"
        ),
    ],
)
def test_what_is_left_at_the_deadline_is_said(seen, after_s, words):
    assert watched(*seen).left(5, START_S + after_s) == words


def test_it_is_worth_asking_unless_it_was_just_seen_busy():
    assert watched().promising(START_S + 1)
    assert watched((1, 0, 0, 7)).promising(START_S + 1)
    assert not watched((1, 1, 0, 7)).promising(START_S + 1)
    assert not watched((1, 0, 1, 7)).promising(START_S + 1)
    assert watched((1, 1, 0, 7)).promising(START_S + 9)
