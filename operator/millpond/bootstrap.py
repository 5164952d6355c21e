"""The composition root: builds the operator's parts, once, and runs them until one of them ends."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from millpond.api.names import LEASE
from millpond.clock import now_s, steady_s
from millpond.cycle import OPERATOR, Cycle
from millpond.handlers import KopfThread
from millpond.health import Health, Heartbeat
from millpond.kube.apply import Hands
from millpond.kube.client import Api
from millpond.kube.drains import Drains
from millpond.kube.each import Each
from millpond.kube.editions import Editions
from millpond.kube.events import Events
from millpond.kube.faults import Faults
from millpond.kube.identity import Identity
from millpond.kube.learner import Learner, Measured
from millpond.kube.lease import LeaderLease
from millpond.kube.measure import Measure
from millpond.kube.resolve import Candidate
from millpond.kube.routerpods import RouterPods
from millpond.kube.status import desired
from millpond.kube.world import World
from millpond.kube.writer import Writer
from millpond.metrics import AppFigures, Metrics
from millpond.prom.reader import PromReader
from millpond.router.control import CONDITIONS, RouterControl
from millpond.router.liveness import Patience
from millpond.settings import Settings
from millpond_policies.actions import Verdict
from millpond_policies.model import App, ServerState

log = logging.getLogger(__name__)
LONGEST_REST_S = 1.0  # a cycle runs at least so often: time alone can change a verdict
SHORTEST_REST_S = 0.02  # changes come in bursts: let a few of them gather
# Routers reconnect within a second or so; until then we don't know who may still serve an old configuration.
SETTLE_S = 5.0


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
                await _first_of(stop.wait(), build.kopf.ended(), build.beat())
        finally:
            await build.stop()


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
        tls = self.identity.tls if self.identity is not None else None
        self.router_pods = RouterPods(
            self.api, settings.namespace, self._node_ready, watch_stuck_s=settings.watch_stuck_s
        )
        self.routers = RouterControl(
            listen=settings.xds,
            clock=now_s,
            tls=tls,
            presence=self.router_pods.presence,
            patience=Patience(unseen_s=settings.lost_after_s),
        )
        self.routers.telemetry.changed = self.wake
        identity = f"{socket.gethostname()}-{os.getpid()}"
        self.lease = LeaderLease(self.api, settings.namespace, LEASE, identity)
        self.events = Events(self.api, instance=identity)
        self.kopf = KopfThread(self._changed, self.api.login, chosen)
        self.heart = Heartbeat()
        listen = f"{settings.health_host}:{settings.health_port}"
        self.health = Health(listen=listen, metrics=self.metrics)
        self.candidates: Mapping[str, Candidate] = {}
        self.measure = self._measure()
        self.cycle = self._cycle()
        self._started_s = steady_s()
        self._tasks: list[asyncio.Task[None]] = []

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
            candidates=lambda: self.cycle.candidates,
            on_answer=self.metrics.prometheus_answers,
        )

    def _cycle(self) -> Cycle:
        measured = self.measure.now if self.measure is not None else Measured
        learner = Learner(telemetry=self.routers.telemetry, clock=now_s, measured=measured)
        hands = Hands(self.api, self.world, self.events, now_s, self.may_act, self.metrics.cut)
        return Cycle(
            world=self.world,
            routers=self.routers,
            learner=learner,
            hands=hands,
            drains=Drains(hands=hands, routers=self.routers, learner=learner),
            editions=Editions(self.api, self.world),
            writer=Writer(self.api, self.world, pools=not self.settings.watch_namespaces),
            clock=now_s,
            on_verdict=self._decided,
            each=Each(Faults(self.metrics.failed)),
            default_hosts=self.settings.default_hosts,
        )

    def _node_ready(self, name: str) -> bool:
        node = self.world.nodes.store.get(name)
        return node is not None and node.ready

    def may_act(self) -> bool:
        """Whether something may be taken away: we hold the Lease, and routers had the time to come back to us."""
        return self.lease.held() and steady_s() - self._started_s > SETTLE_S

    def _changed(self, what: str) -> None:
        self.metrics.saw(what.split(" ")[0])
        self.wake.set()

    def _decided(self, verdict: Verdict, wrote: bool) -> None:
        if wrote:
            self.metrics.decided(type(verdict).__name__, verdict.because.reason)

    async def start(self) -> None:
        """Health first, so that a start that hangs can be seen; routers last, when there is something to tell."""
        self._describe_health()
        await self.health.start()
        log.info("health and metrics on http://%s", self.health.address)
        self.world.start()
        self.router_pods.start()
        self.events.start()
        self.lease.start()
        self.kopf.start()
        if self.measure is not None:
            self._tasks.append(asyncio.create_task(self.measure.run(), name="prometheus"))
        if self.identity is not None:
            await self.identity.start()
        await self.routers.start()
        self._started_s = steady_s()

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
        health.inform("routers", lambda: ", ".join(r.described for r in self.routers.routers()) or "none")
        if self.identity is not None:
            health.inform("certificates", self.identity.described)
        health.ready_when("caches", lambda: self.world.synced)
        health.ready_when("cycle", lambda: self.heart.beats > 0)

    async def beat(self) -> None:
        """The cycle, again and again: soon after a change, and at least once a second."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), LONGEST_REST_S)
            await asyncio.sleep(SHORTEST_REST_S)
            self.wake.clear()
            began_s = steady_s()
            self.kopf.follow(self.world.watched)
            self.router_pods.follow((r.id, r.stats) for r in self.routers.routers())
            if self.world.synced and self.lease.held():
                await self._once()
                self.metrics.cycle_took(steady_s() - began_s)
            elif self.world.synced:
                self.heart.beat()  # somebody else acts: waiting is all there is to do
            await asyncio.sleep(steady_s() - began_s if steady_s() - began_s > 0.1 else 0)

    async def _once(self) -> None:
        """A cycle that fails as a whole is not one that has been: if it lasts, health says so."""
        try:
            await self.cycle.once()
            self._show()
            self.heart.beat()
        except Exception as error:
            self.cycle.each.faults.failed(OPERATOR, "cycle", error)

    def _show(self) -> None:
        self.metrics.failing(len(self.cycle.each.faults.shown))
        apps = self.cycle.apps
        self.metrics.apps(self.cycle.each.look("figures", apps, lambda key: _figures(apps[key])))
        states = [r.condition for r in self.routers.routers()]
        self.metrics.routers({state: states.count(state) for state in CONDITIONS})

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.cycle.each.stop()
        await self.kopf.stop()
        await self.events.stop()
        await self.lease.stop()
        await self.router_pods.stop()
        await self.world.stop()
        await self.routers.stop()
        if self.identity is not None:
            await self.identity.stop()
        if self.measure is not None:
            await self.measure.reader.close()
        await self.health.stop()
        await self.api.close()


def _figures(app: App) -> AppFigures:
    edition = app.view(app.edition)
    response_ms = edition.memory.response_ms(app.goal, now_s(), 10.0) if edition else None
    return AppFigures(
        desired=desired(app),
        ready=sum(s.state is ServerState.SERVING for s in app.servers),
        response_ms=response_ms,
    )
