"""A rollout between API objects and policies: what is written is read again, and routers follow it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from millpond.api.names import APPROVAL_ANNOTATION, EMERGENCY_ANNOTATION, SUBMITTER_ANNOTATION
from millpond.control.act.editions import new_edition
from millpond.control.observe.world import Holdings
from millpond.control.resolve import rollouts
from millpond.control.resolve.candidates import Problem, ValidApp
from millpond.router.config import Preview
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Because, Steer
from millpond_policies.world.release import Needs, Phase, Progress, Step, Way
from millpond_policies.world.strategy import Strategy

from kube.builders import POD, SET, app, app_routes, app_view, edition, holdings, record, sibling, status

NOW_S = 1_800_000_000.0
GOING = Progress(
    edition="v2",
    origin="v1",
    strategy=Strategy.CANARY,
    phase=Phase.PROGRESSING,
    step=1,
    weight=10,
    servers=4,
    started_s=NOW_S - 100,
    step_s=NOW_S - 10,
    reason=Reason.NEXT_STEP,
    message="step 1 of 3",
)
WAITING = replace(
    GOING, phase=Phase.WAITING, step=0, weight=0, needs=Needs.APPROVE, until_s=NOW_S + 60, message=""
)


def rolling(progress: Progress | None, **rollout: Any) -> ValidApp:
    """An app that serves v1 and names v2, with this rollout in its status."""
    named = app(edition="v2", rollout={"strategy": "Canary", **rollout})
    told = {} if progress is None else {"rollout": rollouts.dump(progress, Way())}
    return replace(named, raw={**named.raw, "status": told})


def way_of(app: ValidApp, held: Holdings) -> Way:
    return rollouts.way(app, held, record(app, held).active, NOW_S)


def both(state_v2: str | None = None, **changes: Any) -> Holdings:
    new = replace(POD, edition="v2", name="cart-v2-a", uid="uid-v2", address="127.9.0.2", **changes)
    sets = {"v1": SET, "v2": replace(SET, edition="v2")}
    return holdings(sibling("b"), new, sets=sets, v1=edition("v1"), v2=edition("v2", state=state_v2))


@pytest.mark.parametrize("progress", [GOING, WAITING], ids=["in a step", "waiting"])
def test_what_is_written_is_read_again(progress: Progress) -> None:
    assert rollouts.progress(rolling(progress)) == progress


def test_what_does_not_hold_any_more_is_taken_out_of_status() -> None:
    told = rollouts.dump(GOING, Way())
    assert {told["until"], told["needs"], told["emergency"]} == {None}


@pytest.mark.parametrize("broken", [{}, {"edition": "v2"}, {**rollouts.dump(GOING, Way()), "phase": "Odd"}])
def test_a_status_that_cannot_be_read_is_none(broken: dict[str, Any]) -> None:
    named = app()
    assert rollouts.progress(replace(named, raw={**named.raw, "status": {"rollout": broken}})) is None


def test_the_way_of_a_rollout_is_what_spec_says() -> None:
    steps = [{"weight": 20, "pause": "2m", "approval": True}, {"header": {"name": "x-canary", "value": "y"}}]
    told = rolling(
        None, steps=steps, groupSize=2, soak="1m", promote={"edition": "v2", "step": 1}, abort="v9"
    )
    way = way_of(told, both())
    assert way.steps == (Step(weight=20, pause_s=120, approval=True), Step(weight=0))
    assert (way.group, way.soak_s, way.promoted, way.aborted) == (2, 60, 1, False)


def test_a_promotion_of_another_edition_does_not_count() -> None:
    told = rolling(None, promote={"edition": "v1", "step": 1}, abort="v2")
    way = way_of(told, both())
    assert (way.promoted, way.aborted) == (-1, True)


def test_a_major_edition_waits_for_the_annotation_of_an_approver() -> None:
    major, held = rolling(None, major=True), both()
    assert way_of(major, held).unapproved
    note = {APPROVAL_ANNOTATION: json.dumps({"by": "ann", "reason": "tested"})}
    held.editions["v2"]["metadata"]["annotations"] = note
    assert not way_of(major, held).unapproved
    held.editions["v2"]["metadata"]["annotations"] = {APPROVAL_ANNOTATION: "yes"}
    assert way_of(major, held).unapproved
    assert not way_of(rolling(None, major=True, emergency="fire", emergencyEdition="v2"), held).unapproved


@pytest.mark.parametrize(
    ("emergency", "recorded", "why"),
    [
        pytest.param({"emergency": "fire", "emergencyEdition": "v2"}, {}, "fire", id="about this edition"),
        pytest.param({"emergency": "fire", "emergencyEdition": "v1"}, {}, "", id="about an earlier one"),
        pytest.param({"emergency": " \n", "emergencyEdition": "v2"}, {}, "", id="blank"),
        pytest.param(
            {"emergency": "fire"}, {"edition": "v2", "emergency": "fire"}, "fire", id="older: its own"
        ),
        pytest.param(
            {"emergency": "fire"}, {"edition": "v1", "emergency": "fire"}, "", id="older: an earlier one's"
        ),
        pytest.param({"emergency": "fire"}, {}, "", id="older: of no edition"),
    ],
)
def test_an_emergency_is_about_one_edition_and_has_a_reason(
    emergency: dict[str, str], recorded: dict[str, str], why: str
) -> None:
    told = rolling(None, major=True, **emergency)
    told = replace(told, raw={**told.raw, "status": {"rollout": recorded}})
    assert rollouts.emergency(told, "v2") == why
    assert way_of(told, both()).unapproved is not bool(why)


def test_who_declared_an_emergency_and_why_is_recorded_with_its_edition() -> None:
    told = rolling(None, emergency="fire", emergencyEdition="v2")
    long = "tess" * 100  # longer than the schema of the status takes
    meta = {**told.raw["metadata"], "annotations": {EMERGENCY_ANNOTATION: long}}
    told = replace(told, raw={**told.raw, "metadata": meta})
    written = rollouts.dump(replace(GOING, edition="v2"), Way(), told)
    assert (written["emergency"], written["emergencyBy"]) == ("fire", long[:256])
    other = rollouts.dump(replace(GOING, edition="v3"), Way(), told)
    assert (other["emergency"], other["emergencyBy"]) == (None, None)


def test_change_windows_of_app_and_pool_both_count() -> None:
    midnight = 1_800_057_600.0  # 2027-01-16 00:00 UTC
    mornings = [{"start": "06:00", "end": "08:00"}]
    closed = app(edition="v2", changeWindows=mornings)
    assert rollouts.closed_until_s(closed, midnight) == midnight + 6 * 3600
    assert rollouts.closed_until_s(closed, midnight + 7 * 3600) is None
    assert closed.pool is not None
    later = closed.pool.model_validate(
        {"nodeSelector": {}, "changeWindows": [{"start": "09:00", "end": "10:00"}]}
    )
    never = rollouts.closed_until_s(replace(closed, pool=later), midnight)
    assert never is not None
    assert never > midnight + 3650 * 86400
    overlapping = closed.pool.model_validate(
        {"nodeSelector": {}, "changeWindows": [{"start": "07:00", "end": "10:00"}]}
    )
    assert rollouts.closed_until_s(replace(closed, pool=overlapping), midnight) == midnight + 7 * 3600


def test_a_window_in_an_unknown_time_zone_never_opens() -> None:
    nowhere = app(edition="v2", changeWindows=[{"start": "00:00", "end": "00:00", "timeZone": "Mars/Base"}])
    until_s = rollouts.closed_until_s(nowhere, NOW_S)
    assert until_s is not None
    waits = replace(WAITING, until_s=until_s)
    assert rollouts.dump(waits, Way())["until"] == "9999-12-31T23:59:59Z"
    assert rollouts.progress(rolling(waits)) == waits


def test_an_unknown_time_zone_is_named_where_the_rollout_says_what_it_waits_for() -> None:
    named = app(
        edition="v2",
        changeWindows=[{"start": "00:00", "end": "06:00", "timeZone": "Europe/Berln"}],
        rollout={},
    )
    assert named.pool is not None
    mars = {"nodeSelector": {}, "changeWindows": [{"start": "00:00", "end": "06:00", "timeZone": "Qqqqqq"}]}
    way = way_of(replace(named, pool=named.pool.model_validate(mars)), both())
    assert way.closed_because == (
        'its change window is closed; spec.changeWindows[0].timeZone: "Europe/Berln" is not a known time zone: '
        'did you mean Europe/Berlin?; DynamicPool default: spec.changeWindows[0].timeZone: "Qqqqqq" is not a known '
        "time zone: write its IANA name, such as Europe/Berlin or UTC"
    )
    assert way_of(app(edition="v2"), both()).closed_because == "its change window is closed"


def test_an_edition_says_who_submitted_it() -> None:
    named = app(edition="v2")
    named.raw["metadata"]["annotations"] = {SUBMITTER_ANNOTATION: "tom", "other": "1"}
    made = new_edition(named, "0123456789")
    assert made["metadata"]["annotations"] == {SUBMITTER_ANNOTATION: "tom"}


def test_who_brings_an_edition_back_does_not_approve_it() -> None:
    major, held = rolling(None, major=True), both()
    note = {APPROVAL_ANNOTATION: json.dumps({"by": "ann", "reason": "tested"})}
    held.editions["v2"]["metadata"]["annotations"] = note
    major.raw["metadata"]["annotations"] = {SUBMITTER_ANNOTATION: "ann"}
    assert way_of(major, held).unapproved
    major.raw["metadata"]["annotations"] = {SUBMITTER_ANNOTATION: "tom"}
    assert not way_of(major, held).unapproved


@pytest.mark.parametrize(
    ("progress", "serves"),
    [
        pytest.param(None, "v1", id="before any rollout: the one whose state is Active"),
        pytest.param(GOING, "v1", id="under way: the one that it comes from"),
        pytest.param(replace(GOING, phase=Phase.COMPLETED), "v2", id="completed: the new one"),
        pytest.param(replace(GOING, phase=Phase.ROLLED_BACK), "v1", id="rolled back: the old one"),
    ],
)
def test_the_edition_that_serves(progress: Progress | None, serves: str) -> None:
    assert record(rolling(progress), both()).active == serves


@pytest.mark.parametrize(
    ("progress", "states"),
    [
        pytest.param(GOING, {"v1": "Active", "v2": "Validating"}, id="under way"),
        pytest.param(
            replace(GOING, phase=Phase.COMPLETED), {"v1": "Draining", "v2": "Active"}, id="completed"
        ),
        pytest.param(replace(GOING, phase=Phase.ABORTED), {"v1": "Active", "v2": "Draining"}, id="given up"),
    ],
)
def test_states(progress: Progress, states: dict[str, str]) -> None:
    assert record(rolling(progress), both()).states == states


def test_an_edition_without_servers_is_retired() -> None:
    done = rolling(replace(GOING, phase=Phase.COMPLETED))
    alone = replace(both(), pods=[p for p in both().pods if p.edition == "v2"])
    assert record(done, alone).states == {"v1": "Retired", "v2": "Active"}


def shares(candidate: ValidApp) -> dict[str, tuple[int, Preview | None]]:
    routes = app_routes(candidate, both())
    assert routes is not None
    return {e.name: (e.weight, e.preview) for e in routes.editions}


def test_routers_share_new_sessions_as_the_rollout_says() -> None:
    assert shares(rolling(GOING)) == {"v1": (90, None), "v2": (10, None)}
    assert shares(rolling(replace(GOING, phase=Phase.COMPLETED)))["v2"] == (100, None)
    assert shares(rolling(replace(GOING, phase=Phase.ROLLED_BACK)))["v2"] == (0, None)


def test_an_edition_that_validates_is_reached_by_preview_only() -> None:
    preview = {"header": "x-millpond-edition", "host": "preview.cart.test"}
    told = rolling(replace(GOING, step=0, weight=0, phase=Phase.VALIDATING), preview=preview)
    assert shares(told) == {
        "v1": (100, None),
        "v2": (0, Preview(header=("x-millpond-edition", "v2"), hosts=("preview.cart.test",))),
    }
    assert shares(rolling(replace(GOING, step=0, weight=0)))["v2"] == (0, None)


def test_a_step_by_header_sends_those_who_have_it() -> None:
    steps = [{"header": {"name": "x-canary", "value": "yes"}}]
    told = rolling(replace(GOING, weight=0), steps=steps)
    assert shares(told)["v2"] == (0, Preview(header=("x-canary", "yes"), hosts=()))


def test_whoever_came_by_a_header_stays_when_the_steps_go_on_by_weight() -> None:
    steps = [{"header": {"name": "x-canary", "value": "yes"}}, {"weight": 50}]
    mine = Preview(header=("x-canary", "yes"))
    assert shares(rolling(replace(GOING, step=2, weight=50), steps=steps))["v2"] == (50, mine)
    back = replace(GOING, step=2, weight=0, phase=Phase.ROLLING_BACK)
    assert shares(rolling(back, steps=steps))["v2"] == (0, None)


def rolling_out(candidate: ValidApp, *verdicts: Steer) -> tuple[str, str]:
    from millpond.control.learn.knowledge import Knowledge

    held = both()
    view = app_view(candidate, held, Knowledge(), {}, NOW_S)
    found = status(candidate, held, view, None, verdicts, NOW_S)
    return next((c["status"], c["reason"]) for c in found["conditions"] if c["type"] == "RollingOut")


def test_the_condition_is_true_from_the_first_moment_and_false_in_the_cycle_that_ends_it() -> None:
    assert rolling_out(rolling(None)) == ("True", "NewEdition")
    assert rolling_out(rolling(GOING)) == ("True", "NextStep")
    done = replace(GOING, phase=Phase.COMPLETED, reason=Reason.TOOK_OVER)
    because = Because(reason=Reason.TOOK_OVER, servers=4, wanted=4)
    told = Steer(app="shop/cart", edition="v2", to=done, because=because)
    assert rolling_out(rolling(GOING), told) == ("False", "TookOver")
    assert rolling_out(rolling(replace(GOING, phase=Phase.ROLLED_BACK))) == ("False", "NextStep")


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        pytest.param(None, GOING, Reason.ROLLOUT_STARTED, id="begun"),
        pytest.param(GOING, replace(GOING, step=2), Reason.ROLLOUT_STEPPED, id="the next step"),
        pytest.param(GOING, replace(GOING, servers=5), None, id="more servers are no news"),
        pytest.param(GOING, replace(GOING, phase=Phase.ROLLED_BACK), Reason.ROLLED_BACK, id="taken back"),
        pytest.param(
            replace(GOING, phase=Phase.ROLLING_BACK),
            replace(GOING, phase=Phase.ROLLED_BACK),
            None,
            id="its end was told at its beginning",
        ),
        pytest.param(GOING, replace(GOING, phase=Phase.COMPLETED), Reason.ROLLOUT_COMPLETED, id="done"),
    ],
)
def test_events(before: Progress | None, after: Progress, event: Reason | None) -> None:
    assert rollouts.news(before, after) is event


def test_a_server_that_hangs_in_its_deletion_on_a_dead_node_holds_nothing_up() -> None:
    from millpond.control.learn.knowledge import Knowledge

    leaving = sibling("b", deleting=True, gone_by_s=NOW_S)
    held = holdings(POD, leaving)
    names = [
        [s.name for s in app_view(app(), held, Knowledge(), {}, NOW_S + late_s).servers]
        for late_s in (29, 31)
    ]
    assert names == [["cart-v1-a", "cart-v1-b"], ["cart-v1-a"]]


def test_an_edition_that_was_refused_changes_nothing() -> None:
    """For instance: a kept edition of that name has another template, which nobody asked for."""
    from millpond.control.learn.knowledge import Knowledge
    from millpond.control.snapshot.apps import viewed

    named = rolling(None)
    for refused, wanted in ((False, "v2"), (True, "v1")):
        problem = Problem(reason=Reason.EDITION_CONFLICT, message="another template") if refused else None
        seen = viewed(record(named, both(), NOW_S, problem), Knowledge(), {}, NOW_S)
        assert seen is not None
        assert (seen.edition, seen.active) == (wanted, "v1")
