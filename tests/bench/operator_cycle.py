"""One cycle of the operator with 1,000 apps and 5,000 servers in memory, where nothing has changed."""

import asyncio
import cProfile
import gc
import pstats
import statistics
import sys
import time
from collections.abc import Iterable

from millpond.control.learn.knowledge import from_routers
from millpond_policies.learn.learning import Memory

from tests.bench.figures import Figure
from tests.bench.operator_world import BORN_S, make
from tests.memory.product import build

APPS, SERVERS_EACH = 1000, 5
LEARNED_S = 300  # seconds of history in every app's memory
MEASURED = 5


class BigCluster:
    """The real cycle over a cluster in memory, with a clock that moves a second at each ``once``."""

    def __init__(self, apps: int = APPS, servers: int = SERVERS_EACH) -> None:
        self.now_s = BORN_S + 1000.0
        self.made = make(apps, servers)
        self.cycle = build(self.made.api, self.made.world, self.made.routers, lambda: self.now_s)

    async def once(self) -> float:
        """CPU seconds of one cycle."""
        self.now_s += 1.0
        began_s = time.process_time()
        await self.cycle.once()
        return time.process_time() - began_s

    async def settle(self) -> None:
        """Every app remembers minutes of load, and a cycle writes nothing any more."""
        await self.once()
        memory = self._learned()
        for key in self.cycle.candidates:
            known = self.cycle.learner.knowledge.of(key, "v1")
            known.memory = known.written = memory
        before = -1
        while before != self.made.writes:
            before = self.made.writes
            await self.once()

    def _learned(self) -> Memory:
        """What one app knows after LEARNED_S seconds; the others are like it."""
        key, app = next(iter(self.cycle.candidates.items()))
        learner, pods = self.cycle.learner, self.made.world.holdings()[key].pods
        for _ in range(LEARNED_S):
            self.now_s += 1.0
            collected = learner.telemetry.collect(self.now_s)
            assert collected is not None
            observed = from_routers(collected, key, "v1")
            learner.knowledge.saw(key, "v1", observed, pods, app.goal, None, self.now_s)
        return learner.knowledge.of(key, "v1").memory


async def _measured() -> float:
    cluster = BigCluster()
    await cluster.settle()
    gc.collect()
    return statistics.median([await cluster.once() for _ in range(MEASURED)])


def figures() -> Iterable[Figure]:
    what = f"operator: one cycle, {APPS:,} apps and {APPS * SERVERS_EACH:,} servers, nothing changed"
    yield Figure(what=what, goal=1.0, reached=asyncio.run(_measured()), unit="s CPU")


async def _profile() -> None:
    """`python -m tests.bench.operator_cycle [ORDER]`: where the time goes."""
    cluster = BigCluster()
    await cluster.settle()
    writes = cluster.made.writes
    profile = cProfile.Profile()
    profile.enable()
    await cluster.once()
    profile.disable()
    print(f"{cluster.made.writes - writes} writes")
    pstats.Stats(profile).sort_stats(sys.argv[1] if len(sys.argv) > 1 else "tottime").print_stats(35)


if __name__ == "__main__":
    asyncio.run(_profile())
