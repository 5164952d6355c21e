"""Which servers come and go on the way from one number to another."""

from dataclasses import replace
from typing import Any

import pytest

from millpond_policies.reasons import Reason
from millpond_policies.size.moves import choose_victims, down, up
from millpond_policies.world.actions import Because, Retire
from millpond_policies.world.model import App, EditionView, Server, ServerState

from policies.building import NOW, app, said, server

DRAINING, SERVING, UNHEALTHY = ServerState.DRAINING, ServerState.SERVING, ServerState.UNHEALTHY


def why(reason: Reason, servers: int) -> Because:
    return Because(reason=reason, servers=servers, wanted=servers)


def view(of: App) -> EditionView:
    return of.editions[0]


def downwards(of: App, to: int, **more: Any) -> list[str]:
    return [said(v) for v in down(of, view(of), to, Reason.LOAD_FELL, why, **more)]


def names(servers: tuple[Server, ...]) -> str:
    return " ".join(s.name for s in servers)


@pytest.mark.parametrize(
    ("servers", "order"),
    [
        pytest.param(
            (server("busy", in_flight=0), server("broken", UNHEALTHY, in_flight=5)),
            "broken busy",
            id="unhealthy first, however busy",
        ),
        pytest.param(
            (server("three", in_flight=3), server("none", in_flight=0), server("one", in_flight=1)),
            "none one three",
            id="then the least to finish",
        ),
        pytest.param(
            (server("unknown", in_flight=None), server("busy", in_flight=900)),
            "busy unknown",
            id="unknown is not little",
        ),
        pytest.param(
            (
                server("crowded-1", node="n1"),
                server("crowded-2", node="n1"),
                server("alone", node="n2"),
            ),
            "alone crowded-1 crowded-2",
            id="then from the node that is empty soonest",
        ),
        pytest.param(
            (
                server("a", node="n1"),
                server("b", node="n2"),
                server("c", node="n1"),
                server("d", node="n2"),
            ),
            "a c b d",
            id="a node that was begun is emptied before another is touched",
        ),
        pytest.param(
            (
                server("old"),
                server("young", serving_since_s=NOW - 60),
                server("middle", serving_since_s=NOW - 90),
            ),
            "young middle old",
            id="then the youngest",
        ),
        pytest.param(
            (server("never-served", serving_since_s=None, created_s=NOW - 5), server("old")),
            "never-served old",
            id="one that never served is as young as it was made",
        ),
    ],
)
def test_victims_are_chosen_in_this_order(servers, order):
    found = app(servers)
    assert names(choose_victims(found, view(found), len(servers))) == order
    again = app(tuple(reversed(servers)))
    assert names(choose_victims(again, view(again), len(servers))) == order


@pytest.mark.parametrize("state", [s for s in ServerState if s not in (SERVING, UNHEALTHY)])
def test_what_has_an_intent_or_does_not_serve_yet_is_never_a_victim(state):
    found = app((server("other", state, in_flight=0), server("serves", in_flight=9)))
    assert names(choose_victims(found, view(found), 2)) == "serves"


def test_one_victim_at_a_time_unless_a_group_is_allowed():
    four = app(tuple(server(n, in_flight=i) for i, n in enumerate("abcd")))
    assert downwards(four, 1) == ["Retire a LoadFell"]
    assert downwards(four, 1, at_a_time=2) == ["Retire a LoadFell", "Retire b LoadFell"]
    assert downwards(four, 1, at_a_time=9) == [f"Retire {n} LoadFell" for n in "abc"]
    assert downwards(four, 3, at_a_time=2) == ["Retire a LoadFell"]


def test_each_of_a_group_is_explained_as_a_step_of_its_own():
    four = app(tuple(server(n, in_flight=i) for i, n in enumerate("abcd")))
    found = down(four, view(four), 1, Reason.LOAD_FELL, why, at_a_time=2)
    assert [v.because.servers for v in found] == [4, 3]
    assert [v.because.wanted for v in found] == [3, 2]


@pytest.mark.parametrize(
    ("going", "at_a_time", "expected"),
    [
        pytest.param(1, 1, ["Hold DrainInProgress"], id="one goes: no second"),
        pytest.param(1, 2, ["Retire c LoadFell"], id="a group of two has room for one more"),
        pytest.param(2, 2, ["Hold DrainInProgress"], id="the group is full"),
        pytest.param(2, 1, ["Hold DrainInProgress"], id="more go than are allowed: none is added"),
        pytest.param(1, 9, ["Retire c LoadFell", "Retire d LoadFell"], id="never below the target"),
    ],
)
@pytest.mark.parametrize("state", [DRAINING, ServerState.TERMINATING])
def test_servers_on_their_way_out_count_towards_the_group(going, at_a_time, expected, state):
    servers = tuple(
        server(n, state if i < going else SERVING, in_flight=i) for i, n in enumerate("abcdef"[2 - going :])
    )
    still_ordered = len(servers) if state is DRAINING else len(servers) - going
    found = app(servers, ordered=still_ordered)
    assert downwards(found, 2, at_a_time=at_a_time) == expected


def test_servers_of_another_edition_that_go_count_too():
    servers = (server("old", DRAINING, edition="v0"), server("a"), server("b"))
    assert downwards(app(servers, ordered=2), 1) == ["Hold DrainInProgress"]


def test_starting_servers_are_taken_back_before_any_is_drained_and_never_beside_a_drain():
    coming = server("coming", ServerState.STARTING, in_flight=None)
    assert downwards(app((server("a"), server("b"), coming)), 1, at_a_time=2) == ["CancelStarting 2 LoadFell"]
    beside = app((server("a"), server("b", in_flight=1), server("gone", DRAINING), coming))
    assert downwards(beside, 1, at_a_time=2) == ["Retire a LoadFell"]


def test_the_busiest_draining_servers_come_back_first():
    draining = tuple(server(n, DRAINING, in_flight=i) for i, n in enumerate("abc"))
    found = app((server("serves"), *draining))
    assert [said(v) for v in up(found, view(found), 3, Reason.GOAL_EXCEEDED, why)] == [
        "CancelRetire c GoalExceeded",
        "CancelRetire b GoalExceeded",
    ]
    assert [said(v) for v in up(found, view(found), 5, Reason.GOAL_EXCEEDED, why)][
        -1
    ] == "Grow 5 GoalExceeded"


def test_whatever_is_repeated_no_server_is_named_twice():
    """Each verdict is obeyed before the next is asked for, with drains that take their time."""
    found = app(tuple(server(n) for n in "abcdef"))
    named: list[str] = []
    for _ in range(8):
        verdicts = down(found, view(found), 1, Reason.LOAD_FELL, why, at_a_time=2)
        victims = {v.uid for v in verdicts if isinstance(v, Retire)}
        named += sorted(victims)
        assert sum(s.state is DRAINING for s in found.servers) + len(victims) <= 2
        found = after_drain(found, victims)
    assert len(named) == len(set(named)) == 5


def after_drain(of: App, victims: set[str]) -> App:
    """The first draining server is gone; the victims drain."""
    draining = [s for s in of.servers if s.state is DRAINING][:1]
    stay = tuple(
        replace(s, state=DRAINING) if s.uid in victims else s for s in of.servers if s not in draining
    )
    return app(stay)
