"""What only the operator that leads has: made afresh each time it gets the Lease, and given up with it.

Caches, health and metrics outlive a term; what was concluded in one does not, for somebody else may have acted since.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from millpond.clock import now_s, steady_s
from millpond.control.act.acts import Acts
from millpond.control.act.apply import Hands
from millpond.control.act.editions import Editions
from millpond.control.cycle import OPERATOR, Cycle
from millpond.control.drain.drains import Drains
from millpond.control.guard.each import Each
from millpond.control.guard.faults import Faults
from millpond.control.learn.learner import Learner, Measured
from millpond.control.observe.world import World
from millpond.control.outcome import Outcome
from millpond.control.report.metrics import Metrics
from millpond.control.report.reporter import Reporter
from millpond.control.report.writer import Writer
from millpond.control.routing.publisher import Publisher
from millpond.kube.client import Api
from millpond.kube.events import Events
from millpond.kube.lease import LeaderLease
from millpond.lead.roster import Roster, roster
from millpond.lead.routerpods import RouterPods
from millpond.lead.settings import Settings
from millpond.router.trust.tls import ServerTls
from millpond.router.xds.control import RouterControl
from millpond.router.xds.liveness import Patience

# Routers reconnect within a second or so; until then we don't know who may still serve an old configuration.
SETTLE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What an operator has whether it leads or not."""

    settings: Settings
    api: Api
    world: World
    events: Events
    metrics: Metrics
    lease: LeaderLease
    tls: ServerTls | None
    router_pods: RouterPods
    measured: Callable[[], Measured]
    wake: asyncio.Event


class Term:
    """Listens for routers and decides, from `start` to `stop`."""

    def __init__(self, shared: Shared, known: Roster) -> None:
        """``known``: the routers of who led before."""
        self._shared, self._known = shared, known
        self.routers = RouterControl(
            listen=shared.settings.xds,
            clock=now_s,
            tls=shared.tls,
            presence=shared.router_pods.presence,
            patience=Patience(unseen_s=shared.settings.lost_after_s),
        )
        self.routers.telemetry.changed = self.routers.changed = shared.wake
        self.cycle = self._cycle()
        self._began_s = float("inf")
        self._over = asyncio.Event()

    def _cycle(self) -> Cycle:
        shared = self._shared
        learner = Learner(telemetry=self.routers.telemetry, clock=now_s, measured=shared.measured)
        hands = Hands(shared.api, shared.world, shared.events, now_s, self.may_act, shared.metrics.cut)
        each = Each(Faults(shared.metrics.failed))
        return Cycle(
            world=shared.world,
            publisher=Publisher(each=each, routers=self.routers),
            learner=learner,
            acts=Acts(hands=hands, each=each),
            drains=Drains(hands=hands, routers=self.routers, learner=learner, on_answer=shared.wake.set),
            editions=Editions(shared.api, shared.world),
            reporter=Reporter(
                each=each,
                writer=Writer(shared.api, shared.world, pools=not shared.settings.watch_namespaces),
                events=shared.events,
                learner=learner,
                hurry=shared.wake,
            ),
            clock=now_s,
            each=each,
            default_hosts=shared.settings.default_hosts,
        )

    def may_act(self) -> bool:
        """Whether something may be taken away: we hold the Lease, and routers had the time to come back to us."""
        return self._shared.lease.held() and steady_s() - self._began_s > SETTLE_S

    async def start(self) -> None:
        """Listen; raises RuntimeError when that can't be."""
        self._shared.router_pods.adopt(self._known.routers)
        expected = [(name, stats) for name, stats, _ in self._known.routers]
        await self.routers.start(expected=expected, complete=self._known.final)
        self._began_s = steady_s()

    async def halt(self) -> None:
        """Break off what is being done: nothing is written any more."""
        self._over.set()
        await self.cycle.each.stop()

    async def stop(self) -> None:
        """Close all streams at once, so that routers look for who leads now."""
        await self.halt()
        await self.routers.stop()

    async def once(self, done: Callable[[Outcome], None]) -> bool:
        """One cycle, and `done` told of its outcome. False when it failed as a whole, or the term was over before."""
        work, over = asyncio.ensure_future(self.cycle.once()), asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            work.cancel()  # of no effect when it is done
        await asyncio.wait((work,))
        if self._over.is_set() or work.cancelled():
            return False
        try:
            done(work.result())
        except Exception as error:
            self.cycle.each.faults.failed(OPERATOR, "cycle", error)
            return False
        return True

    def roster(self, *, final: bool) -> Roster:
        """The routers that may serve."""
        found = [(r.id, r.stats) for r in self.routers.routers()]
        uid = self._shared.router_pods.uid
        return roster(((name, stats, uid(name, stats)) for name, stats in found), final=final)
