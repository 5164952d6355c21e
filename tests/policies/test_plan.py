"""The plan is a list of stages over all apps and nodes; each sees what the earlier ones leave."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from millpond_policies import plan as planning
from millpond_policies.plan import STAGES, of_apps, plan
from millpond_policies.reasons import Reason
from millpond_policies.size import scaling
from millpond_policies.world.actions import (
    AnyVerdict,
    Because,
    CancelStarting,
    Grow,
    Hold,
    HoldNode,
    Retire,
    Steer,
    Subject,
    SubjectKind,
)
from millpond_policies.world.after import after
from millpond_policies.world.constraints import Resources
from millpond_policies.world.model import ServerState, Snapshot
from millpond_policies.world.nodes import Node, Pool
from millpond_policies.world.strategy import Strategy

from policies.building import NOW, after_load, app, only, said, serving
from policies.swapping import Swapping, at_step, final, way

BECAUSE = Because(reason=Reason.MANUAL, servers=2, wanted=3)
NODE = Node(name="n1", ready=True, allocatable=Resources(cpu_m=4000, memory_bytes=1 << 33, pods=110))
BUSY = app(serving(1), after_load(70, 1), key="shop/busy", importance=1)
QUIET = app(serving(1), key="shop/quiet")


def test_rollouts_come_before_sizes() -> None:
    assert [stage.__module__.rsplit(".", 1)[1] for stage in STAGES] == ["rollout", "scaling"]


def test_each_stage_sees_what_the_earlier_ones_leave() -> None:
    seen: list[int] = []

    def grow(snapshot: Snapshot, now_s: float) -> Sequence[AnyVerdict]:
        return [Grow(app="shop/web", edition="v1", to=3, because=BECAUSE)]

    def look(snapshot: Snapshot, now_s: float) -> Sequence[AnyVerdict]:
        seen.append(snapshot.apps[0].editions[0].ordered)
        return ()

    world = Snapshot(apps=(app(serving(2)),), nodes=(NODE,))
    plan(world, NOW, (look, grow, look))
    assert seen == [2, 3]
    assert world.apps[0].editions[0].ordered == 2, "a snapshot is a value"


def test_an_app_at_rest_is_seen_by_every_stage_and_nothing_is_said_of_it() -> None:
    seen: list[str] = []

    def look(snapshot: Snapshot, now_s: float) -> Sequence[AnyVerdict]:
        seen.extend(app.key for app in snapshot.apps)
        return ()

    world = Snapshot(apps=(BUSY, QUIET), resting=frozenset({QUIET.key}))
    verdicts = plan(world, NOW, (look, *STAGES, look))
    assert {v.app for v in of_apps(verdicts)} == {BUSY.key}
    assert seen == 2 * [BUSY.key, QUIET.key]
    swap = Swapping(way(Strategy.ROLLING))
    assert plan(Snapshot(apps=(swap.app,), resting=frozenset({swap.app.key})), NOW) == ()


def test_a_hold_is_only_said_when_no_stage_acts_on_its_subject() -> None:
    def doubtful(snapshot: Snapshot, now_s: float) -> Sequence[AnyVerdict]:
        apps = [Hold(app=a.key, edition="v1", because=BECAUSE) for a in snapshot.apps]
        return [*apps, HoldNode(node="n1", because=BECAUSE)]

    found = plan(Snapshot(apps=(QUIET, BUSY), nodes=(NODE,)), NOW, (doubtful, *STAGES, doubtful))
    assert [(v.subject.name, type(v).__name__, v.because.reason) for v in found] == [
        ("shop/busy", "Grow", Reason.FORECAST_ABOVE_CAPACITY),
        ("shop/quiet", "Hold", Reason.MANUAL),
        ("n1", "HoldNode", Reason.MANUAL),
    ]


def test_a_verdict_is_about_an_app_or_a_node() -> None:
    of_app = Hold(app="shop/web", edition="v1", because=BECAUSE)
    of_node = HoldNode(node="shop/web", because=BECAUSE)
    assert of_app.subject == Subject(SubjectKind.APP, "shop/web")
    assert of_node.subject != of_app.subject
    assert of_apps([of_node, of_app]) == [of_app]


@pytest.mark.parametrize(
    ("verdict", "then"),
    [
        pytest.param(
            Grow(app="shop/web", edition="v1", to=5, because=BECAUSE), (5, "Serving"), id="more are ordered"
        ),
        pytest.param(
            CancelStarting(app="shop/web", edition="v1", to=1, because=BECAUSE),
            (1, "Serving"),
            id="fewer are ordered",
        ),
        pytest.param(
            Retire(app="shop/web", edition="v1", uid="uid-v1-0", name="v1-0", because=BECAUSE),
            (2, "Draining"),
            id="a server drains, and is still ordered",
        ),
        pytest.param(
            Hold(app="shop/web", edition="v1", because=BECAUSE), (2, "Serving"), id="a hold changes nothing"
        ),
        pytest.param(HoldNode(node="n1", because=BECAUSE), (2, "Serving"), id="nor does one about a node"),
    ],
)
def test_after_a_verdict(verdict: AnyVerdict, then: tuple[int, str]) -> None:
    other = app(serving(2), key="shop/other")
    left = after(Snapshot(apps=(other, app(serving(2))), nodes=(NODE,)), [verdict])
    assert left.apps[0] is other
    assert (left.apps[1].editions[0].ordered, left.apps[1].servers[0].state.value) == then
    assert left.nodes == (NODE,)


def test_a_rollout_that_ends_is_sized_with_the_next_plan() -> None:
    """What its last verdict leaves is not on the routers yet: in this plan the rollout still decides alone."""
    world = Swapping(way(Strategy.ATOMIC), servers=2).until(at_step(1))
    before = world.app
    while not final(world):
        before = world.app
        world.tick()
    verdicts = planning.plan(Snapshot(apps=(before,)), world.now_s)
    assert [isinstance(v, Steer) and v.to.completed for v in verdicts] == [True]
    left = after(Snapshot(apps=(before,)), verdicts)
    assert left.ended == {before.key}
    assert not scaling.stage(left, world.now_s)
    assert scaling.stage(replace(left, ended=frozenset()), world.now_s)


def test_scaling_sizes_what_serves_without_being_told_another_edition() -> None:
    given_up = replace(app(serving(1), after_load(70, 1)), edition="v2", active="v1")
    (found,) = scaling.judge(given_up, NOW)
    assert isinstance(found, Grow)
    assert found.edition == "v1"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        pytest.param({}, "Grow 2 ForecastAboveCapacity", id="no pool limits it"),
        pytest.param({"allowance": 1}, "Hold AtCeiling", id="its pool leaves it one server"),
        pytest.param(
            {"allowance": 5}, "Grow 2 ForecastAboveCapacity", id="its pool leaves it more than it needs"
        ),
        pytest.param(
            {"allowance": 0, "min_servers": 2}, "Grow 2 BelowFloor", id="the floor is stronger than the pool"
        ),
    ],
)
def test_what_the_pool_leaves_is_a_ceiling(limits: dict[str, int], says: str) -> None:
    assert said(only(app(serving(1), after_load(70, 1), **limits))) == says


def test_above_what_the_pool_leaves_servers_retire_one_by_one() -> None:
    busy = app(serving(3), after_load(70, 3), allowance=1)
    (verdict,) = plan(Snapshot(apps=(busy,)), NOW)
    assert isinstance(verdict, Retire)
    assert verdict.because.reason is Reason.ABOVE_CEILING
    draining = sum(
        s.state is ServerState.DRAINING for s in after(Snapshot(apps=(busy,)), [verdict]).apps[0].servers
    )
    assert draining == 1


@pytest.mark.parametrize(
    ("labels", "inside"),
    [
        pytest.param({"pool": "a", "zone": "1"}, True, id="all labels, and others"),
        pytest.param({"pool": "a"}, False, id="one label is missing"),
        pytest.param({"pool": "b", "zone": "1"}, False, id="another value"),
    ],
)
def test_a_pool_has_the_nodes_with_its_labels(labels: dict[str, str], inside: bool) -> None:
    pool = Pool(name="a", selector={"pool": "a", "zone": "1"})
    assert pool.has(replace(NODE, labels=labels)) is inside
    assert Pool(name="all").has(NODE)


def test_what_is_free_on_a_node_is_unknown_while_not_all_pods_are_seen() -> None:
    assert NODE.free is None
    asked = Resources(cpu_m=5000, memory_bytes=1 << 32, pods=10)
    free = replace(NODE, requested=asked).free
    assert free == Resources(cpu_m=-1000, memory_bytes=1 << 32, pods=100), "more was promised than there is"
    assert not free.covers(Resources(cpu_m=1))
    assert NODE.allocatable.covers(Resources(cpu_m=4000, pods=110))
