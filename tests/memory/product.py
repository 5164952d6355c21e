"""The operator over the cluster in memory. `build` is the one place that says what a cycle is made of."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from millpond.clock import Clock
from millpond.control.act.acts import Acts
from millpond.control.act.apply import Hands
from millpond.control.act.editions import Editions
from millpond.control.cycle import Cycle
from millpond.control.drain.drains import Drains
from millpond.control.guard.each import PATIENCE_S, Each
from millpond.control.guard.faults import Faults
from millpond.control.learn.learner import Learner
from millpond.control.observe.world import World
from millpond.control.report.reporter import Reporter
from millpond.control.report.writer import Writer
from millpond.control.routing.publisher import Publisher
from millpond.kube.client import Api
from millpond.kube.events import Events
from millpond.router.xds.control import RouterControl


def build(
    api: Any,
    world: World,
    routers: Any,
    clock: Clock,
    *,
    may_act: Callable[[], bool] = lambda: True,
    faults: Faults | None = None,
    patience_s: float = PATIENCE_S,
) -> Cycle:
    api, control = cast(Api, api), cast(RouterControl, routers)
    learner = Learner(telemetry=control.telemetry, clock=clock)
    events = Events(api, instance="test", clock=clock)
    hands = Hands(api, world, events, clock, may_act)
    each = Each(faults or Faults(clock=clock), patience_s=patience_s)
    return Cycle(
        world=world,
        publisher=Publisher(each=each, routers=control),
        learner=learner,
        acts=Acts(hands=hands, each=each),
        drains=Drains(hands=hands, routers=control, learner=learner),
        editions=Editions(api, world, clock),
        reporter=Reporter(each=each, writer=Writer(api, world), events=events, learner=learner),
        clock=clock,
        each=each,
    )


async def unless(over: asyncio.Event, cycle: Cycle) -> bool:
    """One cycle; False when the operator died in it."""
    work, death = asyncio.ensure_future(cycle.once()), asyncio.ensure_future(over.wait())
    await asyncio.wait((work, death), return_when=asyncio.FIRST_COMPLETED)
    death.cancel()
    if over.is_set():
        work.cancel()
        await asyncio.wait((work,))
        await cycle.each.stop()
        return False
    work.result()
    return True
