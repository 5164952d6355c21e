"""The whole in memory: API server, controllers, nodes, routers, and the operator that is at work, if one is."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, cast

from millpond.control.cycle import Cycle
from millpond.control.observe.world import World
from millpond.kube.client import Api
from millpond.lead.term import SETTLE_S

from memory.client import Client, Heard, _nobody
from memory.clock import Clock
from memory.nodes import Garbage, Nodes
from memory.product import build, unless
from memory.promises import Promises
from memory.replicasets import ReplicaSets
from memory.routers import Control, Router, Traffic
from memory.server import Server
from memory.watches import Feed, feed

TICK_S = 0.5
REUNION_S = 1.0


@dataclass
class Operator:
    """One process that leads: its caches, its side of the routers, its cycle."""

    client: Client
    world: World
    control: Control
    cycle: Cycle
    feeds: Mapping[str, Feed]

    def hear(self) -> None:
        for watch in self.feeds.values():
            watch.deliver()

    async def once(self) -> bool:
        """One cycle with what the watches tell; False when it died in it."""
        self.hear()
        return await unless(self.client.dead, self.cycle)


@dataclass
class Cluster:
    clock: Clock = field(default_factory=Clock)
    server: Server = field(init=False)
    sets: ReplicaSets = field(init=False)
    nodes: Nodes = field(init=False)
    garbage: Garbage = field(init=False)
    routers: list[Router] = field(init=False)
    traffic: dict[str, Traffic] = field(default_factory=dict)
    operator: Operator | None = None
    promises: Promises = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server(self.clock)
        self.sets, self.nodes = ReplicaSets(self.server), Nodes(self.server)
        self.garbage = Garbage(self.server)
        self.routers = [Router("r1", self.clock), Router("r2", self.clock)]
        self._watch()

    def _watch(self) -> None:
        self.promises = Promises(self.server, self.routers)
        self.sets.on_delete = self.promises.removal

    def fork(self) -> "Cluster":
        """The same cluster in the same moment, with a clock of its own and no operator."""
        made = Cluster(Clock(self.clock.passed_s))
        made.server = self.server.fork(made.clock)
        made.sets = self.sets.fork(made.server)
        made.nodes = self.nodes.fork(made.server)
        made.garbage = Garbage(made.server)
        made.routers = [
            replace(
                r, clock=made.clock, config=dict(r.config), in_flight=dict(r.in_flight), told=list(r.told)
            )
            for r in self.routers
        ]
        made._watch()
        made.promises.broken, made.promises.floor = list(self.promises.broken), self.promises.floor
        made.traffic = {key: replace(t, errors=dict(t.errors)) for key, t in self.traffic.items()}
        return made

    def start_operator(
        self,
        *,
        behind_s: Mapping[str, float] | float = 0.0,
        before: Heard = _nobody,
        after: Heard = _nobody,
        settle_s: float = SETTLE_S,
    ) -> Operator:
        """``behind_s``: of its watches, by resource or of all; such a one takes over with what it knew by then."""
        client = Client(self.server, before=before, after=after)
        world = World(cast(Api, client), on_change=lambda: None)
        control = Control(self.routers, self.traffic, self.clock, REUNION_S if settle_s else 0.0)
        began_s = self.clock()
        cycle = build(client, world, control, self.clock, may_act=lambda: self.clock() - began_s >= settle_s)
        feeds = {name: feed(self.server, name, reflector) for name, reflector in world.reflectors.items()}
        for name, watch in feeds.items():
            watch.behind_s = behind_s if isinstance(behind_s, (int, float)) else behind_s.get(name, 0.0)
            watch.start()
        self.operator = Operator(client, world, control, cycle, feeds)
        return self.operator

    async def pass_time(self, seconds: float = TICK_S) -> None:
        """Everybody but the operator does what is due."""
        await asyncio.sleep(seconds)
        self.step()

    def step(self) -> None:
        self.garbage.step()
        self.sets.step()  # acts on what it heard: what the operator wrote since, with its caches' lag
        self.nodes.step()
        for router in self.routers:
            router.step(self.traffic)
        self.promises.look()

    @property
    def caught_up(self) -> bool:
        """Nobody has anything to hear any more."""
        feeds = self.operator.feeds.values() if self.operator else ()
        followers = (self.sets.pods, self.sets.sets, self.nodes.pods, *feeds)
        heard = all(f.told == len(self.server.history[f.resource]) for f in followers)
        return heard and not any(at_s < inf for r in self.routers for at_s, _, _ in r.told)

    async def tick(self) -> bool:
        """Time passes, then a cycle; False when the operator died in it, or there is none."""
        await self.pass_time()
        return self.operator is not None and await self.operator.once()

    async def until(self, reached: Callable[[], Any], most: int, why: Callable[[], str]) -> int:
        """Ticks until then; the operator must live through it."""
        for number in range(most):
            if reached():
                return number
            assert await self.tick(), "the operator died"
        raise AssertionError(f"not within {most} ticks: {why()}")
