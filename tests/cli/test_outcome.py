"""How a rollout stands, for every state that an app can be in."""

from typing import Any

import pytest

from millpond.cli.rollout.outcome import Exit, judge, to_do
from millpond.kube.client import Object

from cli.staged import READY, condition, manifest, progress

STARTING = condition("Ready", "False", "NoServerReady", "fewer than 1 servers get requests")
PAUSED = condition("Paused", "True", "Paused", "until 2030-01-31T18:00:00Z")


def app(
    rollout: Object | None = None,
    *,
    wanted: str = "v2",
    serves: str | None = "v1",
    seen: int | None = 3,
    conditions: tuple[Any, ...] = (READY,),
) -> Object:
    made = manifest(edition=wanted)
    made["metadata"] |= {"namespace": "shop", "generation": 3}
    told = [{**c, "observedGeneration": seen or 0} for c in conditions]
    made["status"] = {"observedGeneration": seen, "edition": serves, "rollout": rollout, "conditions": told}
    return made


@pytest.mark.parametrize(
    ("rollout", "serves", "code"),
    [
        (progress("Completed", step=3, weight=100), "v2", 0),
        (progress("Completed", step=3, weight=100), "v1", 124),
        (progress("RolledBack", weight=0), "v1", 1),
        (progress("Aborted", weight=0), "v1", 1),
        (progress("RollingBack"), "v1", 124),
        (progress("Progressing"), "v1", 124),
        (progress("Progressing", until="2030-01-01T00:00:00Z"), "v1", 124),
        (progress("Progressing", needs="promote"), "v1", 3),
        (progress("Validating", step=0), "v1", 124),
        (progress("Validating", step=0, needs="promote"), "v1", 3),
        (progress("Paused", needs="resume"), "v1", 3),
        (progress("Waiting", step=0, until="2030-01-01T00:00:00Z"), "v1", 3),
        (progress("Waiting", step=0, needs="approve"), "v1", 3),
        pytest.param(progress("Waiting", step=0), "v1", 124, id="a moment before it goes on"),
        pytest.param(None, "v1", 124, id="not begun"),
        pytest.param(progress("Completed", edition="v1"), "v1", 124, id="only the last one is recorded"),
    ],
)
def test_every_phase_has_its_code(rollout: Object | None, serves: str, code: int) -> None:
    assert judge(app(rollout, serves=serves)).exit == code


@pytest.mark.parametrize("seen", [None, 2])
@pytest.mark.parametrize("phase", ["Completed", "RolledBack", "Paused"])
def test_a_status_older_than_the_object_is_never_answered_from(seen: int | None, phase: str) -> None:
    told = judge(app(progress(phase), serves="v2", seen=seen))
    assert told.exit is Exit.GOING_ON
    assert told.phase is None
    assert "generation 3" in told.message


@pytest.mark.parametrize(
    ("serves", "ready", "code"),
    [
        pytest.param("v1", READY, 0, id="it is ready"),
        pytest.param("v1", STARTING, 124, id="it is not ready"),
        pytest.param(None, STARTING, 124, id="nothing has served yet"),
        pytest.param(None, READY, 124, id="ready, but nobody says which edition"),
    ],
)
def test_the_first_edition_is_done_when_ready(serves: str | None, ready: Any, code: int) -> None:
    assert judge(app(wanted="v1", serves=serves, conditions=(ready,))).exit == code


def test_a_ready_condition_of_an_older_spec_is_not_believed() -> None:
    made = app(wanted="v1")
    made["status"]["conditions"][0]["observedGeneration"] = 2
    assert judge(made).exit is Exit.GOING_ON


def test_back_on_the_edition_that_serves_while_the_other_one_is_taken_back() -> None:
    told = judge(app(progress("RollingBack", message="its servers drain"), wanted="v1"))
    assert told.exit is Exit.GOING_ON
    assert told.message == "v2 is being taken back: its servers drain"
    assert judge(app(progress("Aborted"), wanted="v1")).exit is Exit.DONE


@pytest.mark.parametrize(
    "reason", ["InvalidSpec", "InvalidTemplate", "EditionConflict", "PoolSelectorConflict"]
)
def test_what_the_operator_refuses_has_failed(reason: str) -> None:
    told = judge(app(conditions=(condition("Ready", "False", reason, "spec.template: no such field"),)))
    assert told.exit is Exit.FAILED
    assert told.message == "spec.template: no such field"


def test_what_may_still_come_has_not_failed() -> None:
    missing = condition("Ready", "False", "PolicyNotFound", "there is no SLAPolicy gold")
    told = judge(app(wanted="v1", conditions=(missing,)))
    assert told.exit is Exit.GOING_ON
    assert told.message == "there is no SLAPolicy gold"


def test_a_paused_app_waits_for_a_person() -> None:
    told = judge(app(progress("Progressing"), conditions=(READY, PAUSED)))
    assert told.exit is Exit.PERSON
    assert "until 2030-01-31T18:00:00Z" in told.message
    assert to_do(told).startswith("remove spec.paused")
    done = judge(app(progress("Completed"), serves="v2", conditions=(READY, PAUSED)))
    assert done.exit is Exit.DONE


def test_an_approval_that_the_operator_has_not_seen_is_waited_for() -> None:
    made = app(progress("Waiting", step=0, needs="approve"))
    assert judge(made).exit is Exit.PERSON
    assert judge(made, approved=True).exit is Exit.GOING_ON


def test_an_app_that_is_being_deleted_has_failed() -> None:
    made = app(progress("Progressing"))
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert judge(made).exit is Exit.FAILED


@pytest.mark.parametrize(
    ("rollout", "says"),
    [
        (progress("Progressing", needs="promote"), "millpond rollout promote web -n shop"),
        (progress("Paused", needs="resume"), "millpond rollout resume web -n shop"),
        (progress("Waiting", needs="approve"), "somebody else runs: millpond rollout approve web -n shop --reason …"),
        (progress("Waiting", until="2030-01-01T00:00:00Z"), "wait until 2030-01-01T00:00:00Z"),
        (progress("Waiting", until="9999-12-31T23:59:59Z"), "correct changeWindows: they never open"),
        (progress("Progressing"), ""),
    ],
)  # fmt: skip
def test_it_says_what_a_person_has_to_do(rollout: Object, says: str) -> None:
    assert to_do(judge(app(rollout))) == says


def test_the_json_has_the_same_keys_always() -> None:
    full = judge(app(progress("Progressing"))).as_json()
    assert {
        "edition",
        "from",
        "phase",
        "step",
        "steps",
        "weight",
        "reason",
        "message",
        "exitCode",
    } <= full.keys()
    assert full["from"] == "v1"
    assert judge(app(seen=None)).as_json().keys() == full.keys()


@pytest.mark.parametrize(
    ("says", "message"),
    [
        pytest.param("v1 -> v2: step 1 of 3; pod a: no image", "step 1 of 3; pod a: no image", id="its trouble"),
        pytest.param("v1 -> v2: step 1 of 3", "step 1 of 3", id="no trouble"),
        pytest.param("v0 -> v1: step 1 of 3; pod a: no image", "step 1 of 3", id="another rollout's trouble"),
    ],
)  # fmt: skip
def test_what_keeps_the_new_servers_from_coming_is_told_with_the_rollout(says: str, message: str) -> None:
    going = condition("RollingOut", "True", "NextStep", says)
    assert judge(app(progress("Progressing"), conditions=(going,))).message == message
