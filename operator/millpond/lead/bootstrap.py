"""The composition root: builds the operator's parts, once, and runs them until one of them ends."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from millpond.api.names import LEASE
from millpond.clock import now_s, steady_s, worked_s
from millpond.control.learn.learner import Measured
from millpond.control.learn.measure import Measure
from millpond.control.observe.world import World
from millpond.control.outcome import Outcome
from millpond.control.report.figures import Figures
from millpond.control.report.metrics import Metrics
from millpond.control.resolve.candidates import Candidate
from millpond.kube.client import Api
from millpond.kube.events import Events
from millpond.kube.lease import LeaderLease
from millpond.lead import roster
from millpond.lead.handlers import KopfThread
from millpond.lead.health import Health, Heartbeat
from millpond.lead.identity import Identity
from millpond.lead.leaderlabel import LeaderLabel
from millpond.lead.routerpods import RouterPods
from millpond.lead.settings import Settings
from millpond.lead.term import Shared, Term
from millpond.prom.reader import PromReader

log = logging.getLogger(__name__)
LONGEST_REST_S = 1.0  # a cycle runs at least so often: time alone can change a verdict
SHORTEST_REST_S = 0.02  # changes come in bursts: let a few of them gather,
MOST_REST_S = (
    0.25  # and after a cycle that was much work, more of them; but no burst of requests waits longer
)


@dataclass(slots=True)
class Operator:
    settings: Settings

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; raises when a part ends by itself, so that the process is restarted."""
        build = _Parts(self.settings)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            await _first_of(stop.wait(), build.start())  # which may have to wait for the API server
            if not stop.is_set():
                await _first_of(stop.wait(), build.kopf.ended(), build.beat(), build.lead())
        finally:
            await build.stop()


def rest_s(work_s: float) -> float:
    """How long changes gather after a cycle that took so much processor time; what it waited for does not count.

    So without a pause between changes, a small installation uses half a core at most, and a big one reacts as fast as
    it can think.
    """
    return min(max(SHORTEST_REST_S, work_s), MOST_REST_S)


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    for task in done:
        task.result()


class _Parts:
    """Everything there is one of in an operator process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.wake = asyncio.Event()
        self.api = Api(settings.kubeconfig, on_write=self.metrics.wrote)
        chosen = settings.watch_namespaces
        self.world = World(
            self.api, on_change=self.wake.set, watch_stuck_s=settings.watch_stuck_s, namespaces=chosen
        )
        self.identity = self._identity()
        self.router_pods = RouterPods(
            self.api, settings.namespace, self._node_ready, watch_stuck_s=settings.watch_stuck_s
        )
        identity = f"{socket.gethostname()}-{os.getpid()}"
        self.lease = LeaderLease(self.api, settings.namespace, LEASE, identity, note=self._note)
        self.label = LeaderLabel(self.api, settings.namespace, settings.pod)
        self.events = Events(self.api, instance=identity)
        self.kopf = KopfThread(self._changed, self.api.login, chosen)
        self.heart = Heartbeat()
        listen = f"{settings.health_host}:{settings.health_port}"
        self.health = Health(listen=listen, metrics=self.metrics)
        self.measure = self._measure()
        self.term: Term | None = None  # while we hold the Lease
        self.figures = Figures()
        self._known = asyncio.Event()  # all caches were filled
        self._tasks: list[asyncio.Task[None]] = []

    def _shared(self) -> Shared:
        return Shared(
            settings=self.settings,
            api=self.api,
            world=self.world,
            events=self.events,
            metrics=self.metrics,
            lease=self.lease,
            tls=self.identity.tls if self.identity is not None else None,
            router_pods=self.router_pods,
            measured=self.measure.now if self.measure is not None else Measured,
            wake=self.wake,
        )

    def _identity(self) -> Identity | None:
        """Of the operator towards routers; a unix socket needs none."""
        settings = self.settings
        if settings.xds_insecure or settings.xds.startswith("unix:"):
            return None
        return Identity(
            self.api,
            settings.namespace,
            clock=now_s,
            names=settings.xds_names,
            lives=settings.lives,
            connection_age_s=settings.connection_age_s,
            period_s=settings.certificates_every_s,
        )

    def _measure(self) -> Measure | None:
        if self.settings.prometheus_url is None:
            return None
        return Measure(
            reader=PromReader(self.settings.prometheus_url, clock=now_s),
            clock=now_s,
            candidates=self._candidates,
            on_answer=self.metrics.prometheus_answers,
        )

    def _candidates(self) -> Mapping[str, Candidate]:
        return self.term.cycle.candidates if self.term is not None else {}

    def _note(self, final: bool) -> str:
        """For a successor. Before we had a look ourselves, what the predecessor left for us."""
        if self.term is None:
            return roster.load(self.lease.inherited).dump()
        return self.term.roster(final=final).dump()

    def _node_ready(self, name: str) -> bool:
        node = self.world.nodes.store.get(name)
        return node is not None and node.ready

    def _changed(self, what: str) -> None:
        self.metrics.saw(what.split(" ")[0])
        self.wake.set()

    async def start(self) -> None:
        """Health first, so that a start that hangs can be seen."""
        self._describe_health()
        await self.health.start()
        log.info("health and metrics on http://%s", self.health.address)
        self.world.start()
        self.router_pods.start()
        self.events.start()
        self.kopf.start()
        self._tasks.append(asyncio.create_task(self.label.run(), name="leader label"))
        if self.measure is not None:
            self._tasks.append(asyncio.create_task(self.measure.run(), name="prometheus"))
        if self.identity is not None:
            await self.identity.start()

    def _describe_health(self) -> None:
        settings, health = self.settings, self.health
        health.heartbeat("cycle", self.heart, max_age_s=settings.cycle_stuck_s)
        health.alive("kopf", lambda: self.kopf.alive)
        for name, watched in self.world.watches.items():
            health.watch(name, watched, max_age_s=settings.watch_stuck_s)
        health.watch("routers", self.router_pods.store, max_age_s=settings.watch_stuck_s)
        for place in self.world.places:
            health.inform(f"namespace {place.namespace}", place.described)
        health.inform("lease", lambda: "held" if self.lease.held() else "not held")
        health.inform("routers", self._routers_described)
        if self.identity is not None:
            health.inform("certificates", self.identity.described)
        health.ready_when("caches", lambda: self.world.synced)
        health.ready_when("cycle", lambda: self.heart.beats > 0)

    def _routers_described(self) -> str:
        if self.term is None:
            return "none: they are with the operator that has the lease"
        return ", ".join(r.described for r in self.term.routers.routers()) or "none"

    async def lead(self) -> None:
        """Term after term. Only who knows the cluster applies for the Lease: a successor must act at once."""
        self.metrics.leads(False)
        await self._known.wait()
        self.lease.start()
        while True:
            await self.lease.until(held=True)
            term = Term(self._shared(), roster.load(self.lease.inherited))
            await term.start()
            log.info("leads; routers on %s", term.routers.address)
            self._turn(term)
            await self.lease.until(held=False)
            log.warning("leads no more: the Lease was not renewed in time, or another one has it")
            self._turn(None)
            await term.stop()

    def _turn(self, term: Term | None) -> None:
        self.term = term
        self.metrics.leads(term is not None)
        self.label.tell(leads=term is not None)
        self.wake.set()

    async def beat(self) -> None:
        """The cycle, again and again: soon after a change, and at least once a second."""
        work_s = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), LONGEST_REST_S)
            await asyncio.sleep(rest_s(work_s))
            self.wake.clear()
            began_s, before_s = steady_s(), worked_s()
            self.kopf.follow(self.world.watched)
            if self.world.synced:
                self._known.set()
                await self._pass(began_s)
            work_s = worked_s() - before_s

    async def _pass(self, began_s: float) -> None:
        term = self.term
        if term is None or not self.lease.held():
            self.heart.beat()  # somebody else acts: waiting is all there is to do
            return
        self.router_pods.follow((r.id, r.stats) for r in term.routers.routers())
        if await term.once(partial(self._show, term)):
            self.heart.beat()
        self.metrics.cycle_took(steady_s() - began_s)

    def _show(self, term: Term, outcome: Outcome) -> None:
        cycle = term.cycle
        for verdict in chain(*outcome.acted.values(), *outcome.late.values()):
            self.metrics.decided(type(verdict).__name__, verdict.because.reason)
        self.metrics.failing(len(outcome.faults))
        self.metrics.apps(self.figures.all(outcome, cycle.candidates, self.world, cycle.each))
        self.metrics.routers(term.routers.by_condition())

    async def stop(self) -> None:
        """The Lease and the routers first: a successor waits for them."""
        for task in self._tasks:
            task.cancel()
        if self.term is not None:
            await self.term.halt()
        await self.lease.stop()
        if self.term is not None:
            await self.term.stop()
        await self.kopf.stop()
        await self.events.stop()
        await self.router_pods.stop()
        await self.world.stop()
        if self.identity is not None:
            await self.identity.stop()
        if self.measure is not None:
            await self.measure.reader.close()
        await self.health.stop()
        await self.api.close()
