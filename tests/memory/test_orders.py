"""In whatever order things happen: the promises hold at every moment, and in the end all is settled and silent.

Hypothesis chooses: which watch tells how much, which controller acts, which router acknowledges when, when the operator
dies and at which of its writes, when the load and what people want changes.
"""

import asyncio
import os
from dataclasses import dataclass
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.routers import Traffic
from memory.scenarios import serving, silence

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
SPLIT = ("elasticapps", "editions", "replicasets", "pods")

few = st.integers(min_value=0, max_value=3)
events = st.one_of(
    st.tuples(st.just("cycle")),
    st.tuples(st.just("tick")),
    st.tuples(st.just("time"), st.sampled_from([0.5, 1.0, 3.0])),
    st.tuples(st.just("tell"), st.sampled_from(SPLIT), st.integers(min_value=1, max_value=9)),
    st.tuples(st.just("hold"), st.sets(st.sampled_from(SPLIT))),
    st.tuples(st.just("sets"), few, few),
    st.tuples(st.just("nodes")),
    st.tuples(st.just("router"), st.integers(0, 1), st.sampled_from([0.0, 1.0, 3.0, inf])),
    st.tuples(st.just("silence"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("die"), st.integers(min_value=1, max_value=4), st.booleans()),
    st.tuples(st.just("start"), st.sampled_from([0.0, 1.5])),
    st.tuples(st.just("load"), st.sampled_from([0.0, 10.0, 60.0, 150.0])),
    st.tuples(st.just("want"), st.integers(min_value=1, max_value=3), st.sampled_from(["v1", "v2"])),
)


@dataclass
class Play:
    """One app, ``automatic`` or as people want it."""

    cluster: Cluster
    automatic: bool
    replicas: int = 2
    edition: str = "v1"

    def apply(self) -> None:
        mode = "Automatic" if self.automatic else "Manual"
        spec = {"mode": mode, "replicas": self.replicas, "servers": {"min": 1, "max": 4}}
        made.apply(self.cluster.server, made.app(edition=self.edition, **spec))

    async def begin(self) -> None:
        made.furnished(self.cluster.server)
        self.cluster.traffic[made.KEY] = Traffic(10.0)
        self.apply()
        self.cluster.start_operator(settle_s=1.0)
        await self.settle()
        self.cluster.promises.floor[made.KEY] = 1

    async def happens(self, event: tuple[Any, ...]) -> None:
        what, *how = event
        await getattr(self, f"_{what}")(*how)
        self.cluster.promises.look()

    async def _cycle(self) -> None:
        operator = self.cluster.operator
        if operator is not None and not await operator.once():
            self.cluster.operator = None

    async def _tick(self) -> None:
        await self.cluster.pass_time()
        await self._cycle()

    async def _time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for router in self.cluster.routers:
            router.step(self.cluster.traffic)

    async def _tell(self, resource: str, count: int) -> None:
        if self.cluster.operator is not None:
            self.cluster.operator.feeds[resource].deliver(count)

    async def _hold(self, resources: set[str]) -> None:
        if self.cluster.operator is not None:
            for name, watch in self.cluster.operator.feeds.items():
                watch.behind_s = inf if name in resources else 0.0

    async def _sets(self, pods: int, sets: int) -> None:
        self.cluster.sets.hear(pods, sets)
        for owned in list(self.cluster.sets.sets.items.values()):
            self.cluster.sets.sync(owned)

    async def _nodes(self) -> None:
        self.cluster.nodes.step()

    async def _router(self, number: int, lag_s: float) -> None:
        self.cluster.routers[number].lag_s = lag_s

    async def _silence(self, number: int, silent: bool) -> None:
        self.cluster.routers[number].silent = silent

    async def _die(self, writes: int, before: bool) -> None:
        """At so many writes from now; or now, if it is not writing."""
        if self.cluster.operator is None:
            return
        client, left = self.cluster.operator.client, [writes]

        def count(verb: str, key: str, body: Any) -> None:
            left[0] -= 1
            if not left[0]:
                client.die()

        if before:
            client.before = count
        else:
            client.after = count

    async def _start(self, behind_s: float) -> None:
        if self.cluster.operator is None:
            self.cluster.start_operator(behind_s=behind_s, settle_s=1.0)

    async def _load(self, rps: float) -> None:
        self.cluster.traffic[made.KEY].rps = rps

    async def _want(self, replicas: int, edition: str) -> None:
        self.replicas, self.edition = replicas, edition
        self.apply()

    async def settle(self) -> None:
        """Everybody catches up, and somebody leads."""
        for router in self.cluster.routers:
            router.lag_s, router.silent = 0.0, False
            router.told = [(0.0, apps, number) for _, apps, number in router.told]
        if self.cluster.operator is None or self.cluster.operator.client.dead.is_set():
            self.cluster.start_operator(settle_s=1.0)
        await self._hold(set())
        assert self.cluster.operator is not None
        self.cluster.operator.client.before = self.cluster.operator.client.after = lambda *_: None
        await self.cluster.until(
            self._done, 900, lambda: f"settled: {made.stored(self.cluster.server)['status']}"
        )
        await self.cluster.until(silence(self.cluster), 900, lambda: "nobody writes")

    def _done(self) -> bool:
        found = serving(self.cluster.server)
        if made.stored(self.cluster.server).get("status", {}).get("edition") != self.edition:
            return False
        return found.keys() == {self.edition} if self.automatic else found == {self.edition: self.replicas}


def _played(automatic: bool, script: list[tuple[Any, ...]]) -> None:
    cluster = Cluster()

    async def play() -> None:
        found = Play(cluster, automatic)
        await found.begin()
        for event in script:
            await found.happens(event)
        await found.settle()

    run(cluster.clock, play())
    assert not cluster.promises.broken


@pytest.mark.parametrize("automatic", [False, True], ids=["Manual", "Automatic"])
@settings(max_examples=25, **SETTINGS)
@given(script=st.lists(events, min_size=5, max_size=40))
def test_in_any_order_the_promises_hold_and_it_settles(
    automatic: bool, script: list[tuple[Any, ...]]
) -> None:
    _played(automatic, script)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("automatic", [False, True], ids=["Manual", "Automatic"])
@settings(max_examples=int(os.environ.get("MILLPOND_ORDERS", "1000")), **SETTINGS)
@given(script=st.lists(events, min_size=5, max_size=60))
def test_in_many_orders(automatic: bool, script: list[tuple[Any, ...]]) -> None:
    _played(automatic, script)
