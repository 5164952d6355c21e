"""The order in which a server goes, step by step, as derived from what is observed."""

from dataclasses import replace

import pytest

from millpond.kube.objects import RetireIntent
from millpond.kube.retire import Quiet, Step, next_step, wrong_one_died

from kube.builders import SET, retiring, sibling

OTHER = sibling("b")
NOW_S = 1600.0


@pytest.mark.parametrize(
    ("victim", "owned", "others", "acknowledged", "quiet", "step"),
    [
        pytest.param(
            retiring(gate=True, ready=True),
            SET,
            [OTHER],
            True,
            True,
            Step.GATE,
            id="gate open: close it first",
        ),
        pytest.param(
            retiring(ready=True),
            SET,
            [OTHER],
            True,
            True,
            Step.GATE,
            id="pod still Ready: the node must see the gate",
        ),
        pytest.param(
            retiring(), SET, [OTHER], False, True, Step.ROUTERS, id="a router has not acknowledged: wait"
        ),
        pytest.param(
            retiring(deadline_s=NOW_S - 1),
            SET,
            [OTHER],
            False,
            False,
            Step.ROUTERS,
            id="no acknowledgement: not even the deadline goes past a router that may still serve",
        ),
        pytest.param(retiring(), SET, [OTHER], True, False, Step.REQUESTS, id="requests in flight: wait"),
        pytest.param(
            retiring(deadline_s=NOW_S - 1),
            SET,
            [OTHER],
            True,
            False,
            Step.REMOVE,
            id="requests in flight past the deadline: go on",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", phase="Pending", ready=False, gate=None)],
            True,
            True,
            Step.STARTING,
            id="a Pending pod would be removed in its place: wait",
        ),
        pytest.param(
            retiring(),
            SET,
            [OTHER, sibling("c", node=None, phase="Pending", ready=False, gate=None)],
            True,
            True,
            Step.STARTING,
            id="an unscheduled pod would be removed in its place: wait",
        ),
        pytest.param(
            retiring(),
            replace(SET, ready_replicas=2),
            [OTHER],
            True,
            True,
            Step.REPLICASET,
            id="the ReplicaSet still counts the victim ready: it might choose another",
        ),
        pytest.param(
            retiring(),
            replace(SET, generation=2),
            [OTHER],
            True,
            True,
            Step.REPLICASET,
            id="the ReplicaSet has not seen its last change: wait",
        ),
        pytest.param(
            retiring(), SET, [OTHER], True, True, Step.REMOVE, id="quiet and counted unready: remove"
        ),
        pytest.param(
            retiring(),
            replace(SET, victim_uid="uid-a", replicas=1),
            [OTHER],
            True,
            True,
            Step.DELETION,
            id="its removal is ordered already: never twice",
        ),
    ],
)
def test_next_step(victim, owned, others, acknowledged, quiet, step):
    found = next_step(victim, owned, [victim, *others], acknowledged=acknowledged, quiet=quiet, now_s=NOW_S)
    assert found is step


def test_another_pod_that_dies_instead_of_the_victim_is_noticed():
    ordered = replace(SET, victim_uid="uid-a", replicas=1, status_replicas=1)
    dying = sibling("b", deleting=True)
    assert wrong_one_died(retiring(), ordered, [retiring(), dying]) == dying
    assert wrong_one_died(retiring(deleting=True), ordered, [retiring(deleting=True), OTHER]) is None


def test_quiet_means_zero_on_two_different_collections_in_a_row():
    quiet = Quiet()
    quiet.saw(0, 1.0)
    quiet.saw(0, 1.0)  # the same collection, looked at again
    assert not quiet.is_quiet
    quiet.saw(3, 2.0)
    quiet.saw(0, 3.0)
    assert not quiet.is_quiet
    quiet.saw(None, 4.0)
    quiet.saw(0, 5.0)
    assert quiet.is_quiet


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
    intent = RetireIntent(uid="uid-a", since_s=1.5, deadline_s=31.5, reason="LoadFell")
    assert RetireIntent.load(intent.dump(), "uid-a") == intent
