"""Editions swap without a moment of less capacity, and whoever is not sound is taken back."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond_policies.plan import plan
from millpond_policies.reasons import Reason
from millpond_policies.rollouts.takeover import CAUGHT_UP_S
from millpond_policies.world.actions import Grow, Hold, Retire, Steer
from millpond_policies.world.model import EditionView, Freshness, Mode, ServerState, Snapshot
from millpond_policies.world.release import Evidence, Needs, Phase, Step
from millpond_policies.world.strategy import Strategy

from policies.building import after_load
from policies.swapping import (
    FAILING,
    NOTHING,
    SLOW,
    SOUND,
    Swapping,
    at_step,
    final,
    over,
    seen,
    way,
)

ROLLING, ATOMIC = Strategy.ROLLING, Strategy.ATOMIC
CANARY, BLUE_GREEN = Strategy.CANARY, Strategy.BLUE_GREEN
STEPS = (Step(weight=10, pause_s=10), Step(weight=50, pause_s=10))


@pytest.mark.parametrize(
    ("strategy", "servers", "weights", "most"),
    [
        pytest.param(way(ATOMIC), 3, [0, 100], 6, id="atomic: fully up, then everything at once"),
        pytest.param(way(BLUE_GREEN, group=9), 3, [0, 100], 6, id="blue-green: both full, then over"),
        pytest.param(way(ROLLING), 4, [0, 25, 50, 75, 100], 5, id="rolling: one comes, one goes"),
        pytest.param(
            way(ROLLING, group=2), 5, [0, 40, 80, 100], 7, id="rolling by two: the last group is one"
        ),
        pytest.param(way(ROLLING), 1, [0, 100], 2, id="rolling with a single server: beside it, then over"),
        pytest.param(way(CANARY, steps=STEPS), 4, [0, 10, 50, 100], 8, id="canary: step by step"),
    ],
)
def test_a_sound_edition_takes_over(strategy, servers: int, weights: list[int], most: int) -> None:
    world = Swapping(strategy, servers).until(over)
    assert world.app.active == "v2"
    assert world.weights == weights
    assert world.phases == ["Progressing", "Completed"]
    assert world.least_serving == servers, "never less than the app needs"
    assert world.most_kept <= most
    assert world.most_draining <= strategy.group
    assert world.count("v2", ServerState.SERVING) == servers


def test_new_sessions_come_only_when_all_servers_of_the_step_are_there() -> None:
    world = Swapping(way(CANARY, steps=(Step(weight=50),)), servers=4, start_ticks=7)
    world.until(at_step(1))
    assert world.count("v2", ServerState.SERVING) == 2
    world.until(at_step(2))
    assert world.count("v2", ServerState.SERVING) == 4
    assert world.count("v1", ServerState.SERVING) == 4


def test_the_old_servers_stay_until_the_soak_is_over() -> None:
    world = Swapping(way(ATOMIC, soak_s=30.0)).until(at_step(1))
    world.run(28)
    assert world.count("v1", ServerState.SERVING) == 2
    assert world.progress.phase is Phase.PROGRESSING
    assert world.run(5).progress.phase is Phase.COMPLETED


@pytest.mark.parametrize("strategy", [ATOMIC, ROLLING, CANARY, BLUE_GREEN])
@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        pytest.param(FAILING, Reason.EDITION_ERRORS, id="it fails requests"),
        pytest.param(SLOW, Reason.EDITION_SLOW, id="it is slow"),
    ],
)
def test_a_sick_edition_is_taken_back(strategy: Strategy, evidence: Evidence, reason: Reason) -> None:
    world = Swapping(way(strategy, steps=STEPS), servers=3, evidence=evidence).until(over)
    assert world.phases[-1] == "RolledBack"
    assert world.progress.reason is reason
    assert world.app.active == "v1"
    assert world.count("v1", ServerState.SERVING) == 3
    assert world.least_serving == 3, "the old edition is never below its need"
    assert world.weights[-1] == 0


def test_errors_take_all_new_sessions_from_it_at_once() -> None:
    world = Swapping(way(ROLLING), servers=4, evidence=SOUND).until(at_step(3))
    world.evidence = FAILING
    world.tick()
    assert world.progress.weight == 0


def test_slowness_takes_them_as_fast_as_old_servers_come_back() -> None:
    world = Swapping(way(ROLLING), servers=4).until(at_step(3))
    world.until(lambda w: w.count("v1", ServerState.SERVING) == 1)
    world.evidence = SLOW
    world.tick()
    assert world.progress.phase is Phase.ROLLING_BACK
    assert world.progress.weight == 75
    world.until(final)
    assert world.progress.weight == 0
    assert world.count("v1", ServerState.SERVING) == 4


def test_servers_that_never_start_end_it_at_the_deadline() -> None:
    world = Swapping(way(ROLLING), starts=False).until(over)
    assert world.progress.reason is Reason.DEADLINE_EXCEEDED
    assert 60 <= world.now_s - world.progress.started_s <= 75
    assert world.weights == [0]
    assert not world.app.servers_of("v2")
    assert not [v for v in world.verdicts if isinstance(v, Retire)], "the old servers were never touched"


def test_why_they_do_not_start_is_said() -> None:
    world = Swapping(way(), starts=False).run(3)
    editions = tuple(replace(e, stuck="ImagePullBackOff") for e in world.app.editions)
    world.app = replace(world.app, editions=editions)
    world.until(final)
    assert "ImagePullBackOff" in world.progress.message


def test_too_few_requests_hold_a_canary_and_end_it_at_the_deadline() -> None:
    few = seen(100.0, requests=20)
    world = Swapping(way(CANARY, steps=STEPS), evidence=few).until(at_step(1))
    world.run(60)
    assert world.progress.step == 1
    assert world.progress.reason is Reason.NOT_ENOUGH_REQUESTS
    world.until(over)
    assert world.progress.reason is Reason.INCONCLUSIVE
    assert world.app.active == "v1"


def test_no_requests_at_all_do_not_hold_the_other_strategies() -> None:
    assert Swapping(way(ATOMIC), evidence=NOTHING).until(over).app.active == "v2"


def test_an_edition_whose_servers_die_is_taken_back_at_once() -> None:
    world = Swapping(way(CANARY, steps=STEPS), servers=2).until(at_step(1))
    broken = tuple(
        replace(s, state=ServerState.UNHEALTHY) if s.edition == "v2" else s for s in world.app.servers
    )
    world.app = replace(world.app, servers=broken)
    world.tick()
    assert world.progress.reason is Reason.EDITION_DOWN
    assert world.progress.weight == 0


def turned(world: Swapping, edition: str, state: ServerState, servers: int = 9) -> None:
    """So many servers of the edition are in that state from now on."""
    which = [s.uid for s in world.app.servers if s.edition == edition and s.state is not state][:servers]
    found = (replace(s, state=state) if s.uid in which else s for s in world.app.servers)
    world.app = replace(world.app, servers=tuple(found))


def test_an_abort_gives_the_old_edition_no_more_than_it_can_serve() -> None:
    world = Swapping(way(ATOMIC, soak_s=50.0), servers=3).until(
        lambda w: at_step(1)(w) and w.progress.weight == 100
    )
    turned(world, "v1", ServerState.UNHEALTHY)
    world.app = replace(world.app, way=replace(world.app.way, aborted=True))
    world.run(300)
    assert (world.progress.phase, world.progress.weight) == (Phase.ROLLING_BACK, 100)
    assert world.count("v2", ServerState.SERVING) == 3
    turned(world, "v1", ServerState.SERVING, servers=2)
    world.tick()
    assert world.progress.weight == 100 - 100 * 2 // 3
    turned(world, "v1", ServerState.SERVING)
    assert world.until(over).progress.phase is Phase.ABORTED


def test_servers_that_find_no_room_to_come_back_get_it_one_by_one_after_a_minute() -> None:
    world = Swapping(way(ATOMIC, soak_s=500.0), servers=3).until(
        lambda w: at_step(1)(w) and w.progress.weight == 100
    )
    gone = tuple(s for s in world.app.servers if s.edition == "v2")
    none = tuple(replace(e, ordered=0) if e.name == "v1" else e for e in world.app.editions)
    world.app = replace(world.app, servers=gone, editions=none, way=replace(world.app.way, aborted=True))
    least, room = 3, 3
    for tick in range(150):
        world.tick()
        placed = [s for s in world.app.servers if s.state is not ServerState.PENDING]
        waiting = [s for s in world.app.servers if s.edition == "v1" and s not in placed]
        coming = [s for s in placed if s.state is ServerState.STARTING]
        for one in coming[: max(0, len(placed) - room)]:
            world._turn(one.uid, ServerState.PENDING)
        for one in waiting[: max(0, room - len(placed))]:
            world._turn(one.uid, ServerState.STARTING)
        serving = len(world.app.servers_of("v1", ServerState.SERVING))
        least = min(least, serving + world.count("v2", ServerState.SERVING))
        assert tick > 60 or world.count("v2", ServerState.SERVING) == 3, "patience first"
        share, others = 100 - world.progress.weight, world.count("v2", ServerState.SERVING)
        assert share <= 100 * serving // 3 or not others, "no more than it can serve beside the new one"
    assert least == 2
    assert world.progress.phase is Phase.ABORTED
    assert world.app.active == "v1"


def test_a_sound_canary_is_not_taken_back_to_an_edition_that_does_not_serve() -> None:
    few = seen(100.0, requests=20)
    world = Swapping(way(CANARY, steps=STEPS), servers=4, evidence=few).until(at_step(1))
    turned(world, "v1", ServerState.UNHEALTHY)
    world.until(final)
    assert world.progress.phase is Phase.COMPLETED
    assert world.count("v2", ServerState.SERVING) == 4


def test_a_sick_edition_is_taken_back_only_when_the_old_one_serves() -> None:
    world = Swapping(way(CANARY, steps=STEPS), servers=4).until(at_step(1))
    turned(world, "v1", ServerState.UNHEALTHY)
    world.evidence = FAILING
    world.run(200)
    assert world.progress.phase is Phase.PROGRESSING
    assert world.progress.step == 1
    assert world.progress.reason is Reason.EDITION_ERRORS
    assert "no server of edition v1 serves" in world.progress.message
    turned(world, "v1", ServerState.SERVING, servers=1)
    world.tick()
    assert (world.progress.phase, world.progress.weight) == (Phase.ROLLING_BACK, 0)


def test_who_just_took_over_takes_nothing_back_for_servers_that_it_cannot_have_seen_yet() -> None:
    world = Swapping(way(CANARY, steps=STEPS), servers=2).until(at_step(1))
    unseen = tuple(s for s in world.app.servers if s.edition != "v2")
    app = replace(world.app, servers=unseen, watched_since_s=world.now_s)

    def taken_back(at_s: float) -> bool:
        steers = [v.to for v in plan(Snapshot(apps=(app,)), at_s) if isinstance(v, Steer)]
        return any(to.reason is Reason.EDITION_DOWN for to in steers)

    assert not taken_back(world.now_s + 1)
    assert taken_back(world.now_s + CAUGHT_UP_S + 1)


@pytest.mark.parametrize("when", [0, 1, 2])
@pytest.mark.parametrize("strategy", [ROLLING, CANARY])
def test_it_can_be_aborted_at_any_step(strategy: Strategy, when: int) -> None:
    world = Swapping(way(strategy, steps=STEPS), servers=4)
    world.tick()
    world.until(at_step(when))
    world.app = replace(world.app, way=replace(world.app.way, aborted=True))
    world.until(over)
    assert world.progress.phase is Phase.ABORTED
    assert world.count("v1", ServerState.SERVING) == 4
    assert world.least_serving == 4


def test_aborting_works_while_its_servers_cannot_start() -> None:
    world = Swapping(way(), starts=False).run(5)
    world.app = replace(world.app, way=replace(world.app.way, aborted=True))
    world.until(over, ticks=10)
    assert world.progress.phase is Phase.ABORTED


def test_going_back_in_the_middle_is_an_abort() -> None:
    world = Swapping(way(ROLLING), servers=4).until(at_step(2))
    world.app = replace(world.app, edition="v1")
    world.until(over)
    assert world.app.active == "v1"
    assert "Aborted" in world.phases
    assert world.least_serving == 4


def test_an_edition_that_was_taken_back_is_tried_again_when_named_again() -> None:
    world = Swapping(way(ATOMIC), evidence=FAILING).until(over)
    assert all(isinstance(v, Hold) for v in world.tick()), "it is not tried again by itself"
    world.app = replace(world.app, edition="v1")
    world.run(2)
    world.app = replace(world.app, edition="v2")
    world.evidence = SOUND
    world.tick()
    assert world.until(over).app.active == "v2"


def test_a_third_edition_first_takes_the_second_one_back() -> None:
    world = Swapping(way(ROLLING), servers=4).until(at_step(2))
    third = EditionView(name="v3", ordered=0, freshness=Freshness.FRESH)
    world.app = replace(world.app, edition="v3", editions=(*world.app.editions, third))
    world.until(lambda w: over(w) and w.app.active == "v3", ticks=400)
    assert world.least_serving == 4
    assert {s.edition for s in world.app.servers} == {"v3"}


def test_a_pause_stops_it_and_it_goes_on_after() -> None:
    world = Swapping(way(CANARY, steps=STEPS), servers=2).until(at_step(1))
    world.app = replace(world.app, way=replace(world.app.way, paused=True))
    world.run(100)
    assert (world.progress.phase, world.progress.needs) == (Phase.PAUSED, Needs.RESUME)
    assert world.progress.step == 1
    assert [isinstance(v, Hold) for v in world.tick()] == [True], "settled means silent"
    world.app = replace(world.app, way=replace(world.app.way, paused=False))
    assert world.until(over).app.active == "v2"


def test_an_approval_is_waited_for_with_servers_to_look_at() -> None:
    world = Swapping(way(ATOMIC, approval=True, preview_servers=1), servers=3).run(200)
    assert (world.progress.phase, world.progress.needs) == (Phase.VALIDATING, Needs.PROMOTE)
    assert world.count("v2", ServerState.SERVING) == 1
    world.app = replace(world.app, way=replace(world.app.way, promoted=0))
    assert world.until(over).app.active == "v2"


def test_blue_green_is_looked_at_at_full_size() -> None:
    world = Swapping(way(BLUE_GREEN, approval=True), servers=3).run(100)
    assert world.count("v2", ServerState.SERVING) == 3
    assert world.weights == [0]


def test_a_promotion_makes_do_without_pause_and_analysis() -> None:
    steps = (Step(weight=10, pause_s=10_000, approval=True),)
    world = Swapping(way(CANARY, steps=steps), evidence=NOTHING).until(at_step(1)).run(20)
    world.app = replace(world.app, way=replace(world.app.way, promoted=1))
    assert world.until(over, ticks=60).app.active == "v2"


@pytest.mark.parametrize(
    ("closed", "needs"),
    [
        pytest.param({"closed_until_s": 2e9}, None, id="outside its change window"),
        pytest.param({"unapproved": True}, Needs.APPROVE, id="a major edition without approval"),
    ],
)
def test_it_may_have_to_wait_before_its_first_server(closed: dict, needs: Needs | None) -> None:
    world = Swapping(way(ATOMIC, **closed)).run(1000)
    assert (world.progress.phase, world.progress.needs) == (Phase.WAITING, needs)
    assert not [v for v in world.verdicts if isinstance(v, Grow)]
    world.app = replace(world.app, way=way(ATOMIC))
    assert world.until(over).app.active == "v2"


@pytest.mark.parametrize("blind", [Freshness.STALE, Freshness.PARTIAL, Freshness.MISSING])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_ignorance_promotes_and_removes_nothing(blind: Freshness, step: int) -> None:
    world = Swapping(way(ROLLING, deadline_s=10_000), servers=4)
    world.tick()
    world.until(at_step(step))
    world.freshness = blind
    weight, old = world.progress.weight, world.count("v1", ServerState.SERVING)
    world.run(100)
    assert world.progress.weight == weight
    assert world.count("v1", ServerState.SERVING) == old
    world.freshness = Freshness.FRESH
    assert world.until(over).app.active == "v2"


def test_an_operator_that_was_away_does_not_count_the_time_as_lost() -> None:
    world = Swapping(way(ATOMIC), servers=2, start_ticks=3).run(1)
    world.now_s += 10_000
    world.app = replace(world.app, watched_since_s=world.now_s)
    assert world.until(over).app.active == "v2"


def test_more_load_in_the_middle_brings_more_servers() -> None:
    world = Swapping(way(CANARY, steps=(Step(weight=50, pause_s=40),)), servers=2).until(at_step(1))
    more = after_load(100, 2)
    editions = tuple(replace(e, memory=more) if e.name == "v1" else e for e in world.app.editions)
    world.app = replace(world.app, editions=editions)
    world.run(10)
    assert world.progress.servers >= 3
    assert world.count("v1", ServerState.SERVING) >= 3
    assert world.count("v2", ServerState.SERVING) >= 2


def test_a_canary_that_needs_more_servers_than_its_share_gets_them() -> None:
    world = Swapping(way(CANARY, steps=(Step(weight=10, pause_s=40),)), servers=4).until(at_step(1))
    assert world.count("v2", ServerState.SERVING) == 1
    busy = after_load(60, 1)
    editions = tuple(replace(e, memory=busy) if e.name == "v2" else e for e in world.app.editions)
    world.app = replace(world.app, editions=editions)
    world.run(10)
    assert world.count("v2", ServerState.SERVING) >= 2


def test_in_manual_mode_the_new_edition_gets_the_manual_count() -> None:
    world = Swapping(way(ATOMIC), servers=2)
    world.app = replace(world.app, mode=Mode.MANUAL, manual_servers=3, min_servers=1)
    world.until(over)
    assert world.count("v2", ServerState.SERVING) == 3


def test_a_paused_app_does_not_move() -> None:
    world = Swapping(way(ATOMIC)).until(at_step(1))
    world.app = replace(world.app, paused_until_s=world.now_s + 1000)
    before = world.app.servers
    world.run(60)
    assert world.app.servers == before


def test_the_state_is_written_only_when_it_changes() -> None:
    world = Swapping(way(CANARY, steps=STEPS), servers=3).until(over)
    told = [v.to for v in world.verdicts if isinstance(v, Steer)]
    assert len(told) <= 12
    assert all(a != b for a, b in pairwise(told))


WAYS = st.builds(
    way,
    st.sampled_from(Strategy),
    group=st.integers(1, 3),
    steps=st.sampled_from([(Step(weight=0, pause_s=3),), STEPS, (Step(weight=1), Step(weight=99))]),
)


@given(
    how=WAYS,
    servers=st.integers(1, 6),
    start=st.integers(1, 6),
    drain=st.integers(1, 6),
    evidence=st.sampled_from([SOUND, SLOW, FAILING, NOTHING]),
    starts=st.booleans(),
    abort_at=st.none() | st.integers(0, 60),
    blind=st.none() | st.tuples(st.integers(0, 40), st.integers(1, 30)),
)
@settings(max_examples=150, deadline=None)
def test_every_rollout_ends_with_one_edition_and_never_with_less_capacity(
    how, servers: int, start: int, drain: int, evidence: Evidence, starts: bool, abort_at, blind
) -> None:
    world = Swapping(how, servers, start, drain, starts=starts, evidence=evidence)
    for tick in range(500):
        if abort_at == tick:
            world.app = replace(world.app, way=replace(world.app.way, aborted=True))
        lost = blind is not None and blind[0] <= tick < sum(blind)
        world.freshness = Freshness.STALE if lost else Freshness.FRESH
        world.tick()
        if over(world) and tick > 120:
            break
    assert over(world), world.progress
    assert world.least_serving >= servers
    assert world.most_draining <= how.group
    assert world.count(world.app.active, ServerState.SERVING) == servers
    assert all(isinstance(v, Hold) for v in world.tick())
