"""The order in which a server goes, step by step, as derived from what is observed."""

from dataclasses import replace
from typing import Any

import pytest

from millpond.control.drain.retire import (
    LOWEST_COST,
    RetireStep,
    next_cost,
    next_step,
    order_is_void,
    wrong_one_died,
)
from millpond.control.observe.objects import Pod, RetireIntent

from kube.builders import SET, retiring, sibling

OTHER = sibling("b")
NOW_S = 1600.0


def victim(rank: int, letter: str = "a", **changes: Any) -> Pod:
    """Named as the rank-th of a group."""
    intent = RetireIntent(uid=f"uid-{letter}", since_s=1500.0, deadline_s=2000.0, reason="LoadFell")
    cost = str(LOWEST_COST + rank)
    return sibling(letter, retire=intent, deletion_cost=cost, **{"gate": False, "ready": False, **changes})


@pytest.mark.parametrize(
    ("going", "owned", "others", "acknowledged", "busy", "step"),
    [
        pytest.param(
            retiring(gate=True, ready=True),
            SET,
            [OTHER],
            True,
            None,
            RetireStep.GATE,
            id="gate open: close it first",
        ),
        pytest.param(
            retiring(ready=True),
            SET,
            [OTHER],
            True,
            None,
            RetireStep.GATE,
            id="pod still Ready: the node must see the gate",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER],
            False,
            None,
            RetireStep.ROUTERS,
            id="a router has not acknowledged: wait",
        ),
        pytest.param(
            retiring(deadline_s=NOW_S - 1),
            SET,
            [OTHER],
            False,
            RetireStep.REQUESTS,
            RetireStep.ROUTERS,
            id="no acknowledgement: not even the deadline goes past a router that may still serve",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER],
            True,
            RetireStep.REQUESTS,
            RetireStep.REQUESTS,
            id="requests in flight: wait",
        ),
        pytest.param(
            retiring(),
            replace(SET, ready_replicas=0),
            [OTHER],
            True,
            None,
            RetireStep.REPLICASET,
            id="the ReplicaSet has not seen that another came back: its costs may be old as well",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", phase="Pending", ready=False, gate=None)],
            True,
            None,
            RetireStep.STARTING,
            id="a Pending pod would be removed in its place: wait",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", node=None, phase="Pending", ready=False, gate=None)],
            True,
            None,
            RetireStep.STARTING,
            id="an unscheduled pod would be removed in its place: wait",
        ),
        pytest.param(
            retiring(),
            replace(SET, ready_replicas=2),
            [OTHER],
            True,
            None,
            RetireStep.REPLICASET,
            id="the ReplicaSet still counts the victim ready: it might choose another",
        ),
        pytest.param(
            victim(1),
            replace(SET, replicas=3),
            [OTHER, victim(0, letter="c")],
            True,
            None,
            RetireStep.TURN,
            id="another was named before it: that one goes first",
        ),
        pytest.param(
            victim(0),
            replace(SET, replicas=3),
            [OTHER, victim(1, letter="c")],
            True,
            None,
            RetireStep.REMOVE,
            id="named first: it goes, whether or not the next is busy",
        ),
        pytest.param(
            victim(1),
            SET,
            [OTHER, victim(0, letter="c", deleting=True)],
            True,
            None,
            RetireStep.REMOVE,
            id="the one before it is being deleted: its turn",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", gate=False, ready=False)],
            True,
            None,
            RetireStep.REPLICASET,
            id="another is on its way back: the ReplicaSet may still know its low cost",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", gate=True, gate_since_s=NOW_S - 1, ready=False)],
            True,
            None,
            RetireStep.REPLICASET,
            id="its gate is open again, the node has not noticed: wait",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", gate=True, gate_since_s=NOW_S - 60, ready=False)],
            True,
            None,
            RetireStep.REMOVE,
            id="another that is unready for good stops nothing",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", gate=False, ready=False, containers_ready=False)],
            True,
            None,
            RetireStep.REMOVE,
            id="nor does a broken one",
        ),
        pytest.param(
            retiring(),
            replace(SET, generation=2),
            [OTHER],
            True,
            None,
            RetireStep.REPLICASET,
            id="the ReplicaSet has not seen its last change: wait",
        ),
        pytest.param(
            retiring(), SET, [OTHER], True, None, RetireStep.REMOVE, id="quiet and counted unready: remove"
        ),
        pytest.param(
            retiring(),
            replace(SET, victim_uid="uid-a", replicas=1),
            [OTHER],
            True,
            None,
            RetireStep.DELETION,
            id="its removal is ordered already: never twice",
        ),
    ],
)
def test_next_step(going, owned, others, acknowledged, busy, step):
    found = next_step(going, owned, [going, *others], acknowledged=acknowledged, busy=busy, now_s=NOW_S)
    assert found is step


ORDERED = replace(SET, victim_uid="uid-a", replicas=1, status_replicas=1)


def test_another_pod_that_dies_instead_of_the_victim_is_noticed():
    dying = sibling("b", deleting=True)
    assert wrong_one_died(retiring(), ORDERED, [retiring(), dying]) == dying
    assert wrong_one_died(retiring(deleting=True), ORDERED, [retiring(deleting=True), OTHER]) is None


@pytest.mark.parametrize(
    ("owned", "siblings", "void"),
    [
        pytest.param(ORDERED, [retiring()], True, id="as many live as are ordered, the victim among them"),
        pytest.param(ORDERED, [retiring(), OTHER], False, id="one more lives: its end is not seen yet"),
        pytest.param(
            replace(ORDERED, replicas=2, status_replicas=2),
            [retiring(), OTHER],
            True,
            id="a server was ordered anew before the ReplicaSet acted",
        ),
        pytest.param(
            replace(ORDERED, replicas=2, status_replicas=2),
            [retiring(), OTHER, victim(0, letter="c", deleting=True)],
            True,
            id="the victim before it is still being deleted: that proves nothing against it",
        ),
        pytest.param(replace(ORDERED, generation=2), [retiring()], False, id="the order is not seen yet"),
        pytest.param(replace(ORDERED, status_replicas=2), [retiring()], False, id="nor carried out"),
        pytest.param(SET, [retiring(), OTHER], False, id="its removal was never ordered"),
        pytest.param(ORDERED, [retiring(deleting=True)], False, id="it is being deleted, as meant"),
    ],
)
def test_an_order_is_void_when_the_replicaset_has_what_it_wants_and_the_victim_lives(owned, siblings, void):
    assert order_is_void(siblings[0], owned, siblings) is void


def test_victims_of_a_group_are_ranked_in_the_order_in_which_they_were_named():
    assert next_cost([OTHER]) == LOWEST_COST
    assert next_cost([OTHER, victim(0)]) == LOWEST_COST + 1
    assert next_cost([victim(0, letter="b"), victim(1)]) == LOWEST_COST + 2
    assert (
        next_cost([sibling("b", deletion_cost="-5"), sibling("c", deletion_cost="nonsense")]) == LOWEST_COST
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="no annotation"),
        pytest.param("not json", id="not JSON"),
        pytest.param('{"uid": "uid-a"}', id="half of it"),
        pytest.param('["uid-a"]', id="another form"),
        pytest.param(
            '{"uid": "somebody", "since": 1, "deadline": 2, "reason": "x"}', id="meant for another pod's UID"
        ),
    ],
)
def test_a_forged_or_foreign_retire_annotation_is_ignored(text):
    assert RetireIntent.load(text, "uid-a") is None


def test_an_intent_survives_being_written_down():
    intent = RetireIntent(
        uid="uid-a", since_s=1.5, deadline_s=31.5, streams_deadline_s=99.0, reason="LoadFell"
    )
    assert RetireIntent.load(intent.dump(), "uid-a") == intent


def test_an_intent_of_an_older_operator_has_one_deadline_for_all():
    text = '{"uid": "uid-a", "since": 1.5, "deadline": 31.5, "reason": "LoadFell"}'
    found = RetireIntent.load(text, "uid-a")
    assert found is not None
    assert found.last_deadline_s == found.deadline_s == 31.5
