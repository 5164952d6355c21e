"""While editions swap, what the app needs altogether falls with its ceiling, and with nothing else."""

from dataclasses import replace

import pytest

from millpond_policies.world.actions import CancelStarting, Hold, Retire
from millpond_policies.world.model import Freshness, ServerState
from millpond_policies.world.release import Phase, Step
from millpond_policies.world.strategy import Strategy

from policies.swapping import FAILING, Swapping, at_step, over, way

CANARY = way(Strategy.CANARY, steps=(Step(weight=10, pause_s=20), Step(weight=50, pause_s=20)))
ROLLING = way(Strategy.ROLLING)


def swapping(how, servers: int, **more: object) -> Swapping:
    world = Swapping(how, servers, **more)  # type: ignore[arg-type]
    world.app = replace(world.app, min_servers=1)
    return world


def left(world: Swapping) -> int:
    """Servers of both editions that are ordered and not about to go."""
    ordered = sum(e.ordered for e in world.app.editions)
    return ordered - sum(s.state is ServerState.DRAINING for s in world.app.servers)


@pytest.mark.parametrize(
    ("how", "servers", "step", "allowance", "most", "weights"),
    [
        pytest.param(
            ROLLING, 4, 0, 2, 3, [0, 50, 100], id="rolling, before its first step: fewer, larger steps"
        ),
        pytest.param(ROLLING, 4, 2, 2, 3, [0, 25, 50, 100], id="rolling, half-way: its share stays"),
        pytest.param(ROLLING, 4, 2, 3, 4, [0, 25, 50, 67, 100], id="rolling, half-way, one server less"),
        pytest.param(
            ROLLING, 4, 1, 1, 2, [0, 25, 100], id="rolling, down to one server: the last step all the same"
        ),
        pytest.param(ROLLING, 4, 4, 2, 3, [0, 25, 50, 75, 100], id="rolling, while the last one soaks"),
        pytest.param(CANARY, 4, 1, 2, 4, [0, 10, 50, 100], id="canary: the old servers first"),
        pytest.param(CANARY, 4, 2, 2, 4, [0, 10, 50, 100], id="canary, half-way"),
        pytest.param(way(Strategy.ATOMIC), 4, 0, 2, 4, [0, 100], id="atomic: both editions"),
        pytest.param(way(Strategy.BLUE_GREEN, approval=False), 3, 0, 1, 2, [0, 100], id="blue-green"),
    ],
)
def test_an_app_that_may_have_fewer_gives_them_up_and_the_rollout_goes_on(
    how, servers: int, step: int, allowance: int, most: int, weights: list[int]
) -> None:
    world = swapping(how, servers)
    world.tick()
    world.until(at_step(step))
    world.app = replace(world.app, allowance=allowance)
    world.until(lambda w: left(w) <= most or over(w))
    assert left(world) <= most
    world.until(over)
    assert world.app.active == "v2"
    assert world.weights == weights, "the new edition's share never falls"
    assert world.count("v2", ServerState.SERVING) == allowance
    assert world.progress.servers == allowance
    assert world.most_draining <= world.way.group, "in a rollout at most its group at a time"
    assert world.least_serving >= allowance


def test_servers_that_were_ordered_for_more_are_taken_back_first() -> None:
    world = swapping(way(Strategy.ATOMIC), 4, start_ticks=50)
    world.run(3)
    assert world.count("v2", ServerState.STARTING) == 4
    world.app = replace(world.app, max_servers=2)
    first = world.tick()
    assert [(v.edition, v.to) for v in first if isinstance(v, CancelStarting)] == [("v2", 2)]
    assert not [v for v in first if isinstance(v, Retire)]


@pytest.mark.parametrize("freshness", [Freshness.STALE, Freshness.PARTIAL, Freshness.MISSING])
def test_nothing_is_given_up_on_ignorance(freshness: Freshness) -> None:
    world = swapping(ROLLING, 4)
    world.tick()
    world.until(at_step(2))
    world.freshness = freshness
    world.app = replace(world.app, allowance=1)
    there = len(world.verdicts)
    world.run(20)
    assert not [v for v in world.verdicts[there:] if isinstance(v, Retire | CancelStarting)]


def test_less_load_takes_nothing_from_a_rollout() -> None:
    """Servers of 4 that 2 could replace by their load stay until it is over."""
    world = swapping(CANARY, 4).until(lambda w: w.app.progress is not None)
    world.until(lambda w: w.progress.phase.final)
    assert world.least_serving == 4
    assert world.count("v2", ServerState.SERVING) == 4


def test_with_fewer_servers_a_pause_stays_silent() -> None:
    world = swapping(ROLLING, 4)
    world.tick()
    world.until(at_step(2))
    world.app = replace(world.app, way=replace(world.app.way, paused=True), allowance=2)
    world.run(30)
    assert world.progress.phase is Phase.PAUSED
    assert world.progress.weight == 50
    assert left(world) <= 3
    assert [isinstance(v, Hold) for v in world.tick()] == [True]
    world.app = replace(world.app, way=replace(world.app.way, paused=False))
    world.until(over)
    assert world.weights == [0, 25, 50, 100]


def test_a_sick_edition_is_taken_back_to_what_the_app_may_have() -> None:
    world = swapping(ROLLING, 4)
    world.tick()
    world.until(at_step(2))
    world.app = replace(world.app, allowance=2)
    world.evidence = FAILING
    world.until(over)
    assert world.progress.phase is Phase.ROLLED_BACK
    assert world.app.active == "v1"
    assert world.run(10).count("v1", ServerState.SERVING) == 2
