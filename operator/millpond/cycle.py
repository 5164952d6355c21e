"""One pass of observe -> plan -> apply for all apps at once, because they compete for one pool."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from millpond.clock import Clock
from millpond.kube import news
from millpond.kube.apply import Hands
from millpond.kube.drains import Drains
from millpond.kube.editions import Editions
from millpond.kube.errors import ClusterError
from millpond.kube.gates import set_gate, wanted_gate
from millpond.kube.learner import Learner
from millpond.kube.news import News
from millpond.kube.observe import snapshot
from millpond.kube.resolve import Candidate, Problem, Resolver
from millpond.kube.routes import app_routes
from millpond.kube.world import Holdings, World
from millpond.kube.writer import Writer
from millpond.router.config import AppRoutes
from millpond.router.control import Published, RouterControl
from millpond_policies.actions import Steer, Verdict
from millpond_policies.model import App
from millpond_policies.plan import plan

log = logging.getLogger(__name__)


def _nobody(verdict: Verdict, wrote: bool) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Cycle:
    """``once`` is level-triggered: run again from any state, it goes on where the cluster is."""

    world: World
    routers: RouterControl
    learner: Learner
    hands: Hands
    drains: Drains
    editions: Editions
    writer: Writer
    clock: Clock
    on_verdict: Callable[[Verdict, bool], None] = (
        _nobody  # told of each verdict, and whether it led to a write
    )
    resolver: Resolver = field(default_factory=Resolver)
    news: News = field(default_factory=News)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)  # as the last cycle saw them
    apps: Mapping[str, App] = field(default_factory=dict)
    _routes: Mapping[str, AppRoutes] = field(default_factory=dict)

    async def once(self) -> None:
        """One cycle. What fails for one app is logged, tried again in the next cycle, and does not stop the others."""
        now_s = self.clock()
        candidates = self.candidates = self.resolver.resolve(
            self.world.apps.store.items(), self.world.policies.store.items(), self.world.pools.store.items()
        )
        holdings = self._holdings(candidates)
        self.learner.learn(candidates, holdings, now_s)
        problems = await self._ensure(candidates, holdings)
        published = await self._publish(candidates, holdings)
        await self._set_gates(candidates, holdings, published)
        await self.drains.advance(candidates, self._holdings(candidates), published, now_s)

        holdings = self._holdings(candidates)  # with our own writes of this cycle
        in_flight = self.learner.in_flight(candidates, holdings, now_s)
        seen = snapshot(candidates, holdings, self.learner.knowledge, in_flight, now_s, problems)
        self.apps = {app.key: app for app in seen.apps}
        verdicts = plan(seen, now_s)
        carried_out, astray = await self._apply(verdicts, candidates, holdings)
        await self._report(candidates, problems, carried_out, published, now_s, astray)

    def _holdings(self, candidates: Iterable[str]) -> dict[str, Holdings]:
        """Of every candidate; what belongs to apps that are being deleted is left to the garbage collector."""
        found = self.world.holdings()
        return {key: found.get(key) or Holdings() for key in candidates}

    async def _ensure(
        self, candidates: Mapping[str, Candidate], holdings: Mapping[str, Holdings]
    ) -> dict[str, Problem]:
        problems = {key: app.problem for key, app in candidates.items() if app.problem is not None}
        for key, app in candidates.items():
            homeless = app.homeless and not holdings[key].editions
            if key in problems or homeless:
                continue
            before = set(holdings[key].editions)
            try:
                problem = await self.editions.ensure(app, holdings[key])
            except ClusterError as error:
                log.warning("%s: its edition: %s", key, error)
                continue
            news.created(self.hands.events, app, sorted(holdings[key].editions.keys() - before))
            if problem is not None:
                problems[key] = problem
        return problems

    async def _publish(
        self, candidates: Mapping[str, Candidate], holdings: Mapping[str, Holdings]
    ) -> Published:
        routes = ((key, app_routes(app, holdings[key])) for key, app in candidates.items())
        self._routes = {key: found for key, found in routes if found is not None}
        return await self.routers.publish(self._routes)

    async def _set_gates(
        self, candidates: Mapping[str, Candidate], holdings: Mapping[str, Holdings], published: Published
    ) -> None:
        for key in candidates:
            for pod in holdings[key].pods:
                gate = wanted_gate(pod, self._routes.get(key), key in published.routed)
                if gate is None or gate == pod.gate:
                    continue
                try:
                    await set_gate(self.hands.api, self.world, pod, gate, self.clock)
                except ClusterError as error:
                    log.warning("gate of %s: %s", pod.key, error)
                    continue
                if gate and pod.gate is None:
                    self.learner.started(pod)

    async def _apply(
        self,
        verdicts: Sequence[Verdict],
        candidates: Mapping[str, Candidate],
        holdings: Mapping[str, Holdings],
    ) -> tuple[list[Verdict], set[str]]:
        """The verdicts that hold now, and the apps whose rollout could not be steered: next cycle again."""
        carried_out: list[Verdict] = []
        astray = {verdict.app for verdict in verdicts if isinstance(verdict, Steer)}
        for verdict in verdicts:
            try:
                wrote = await self.hands.apply(verdict, candidates[verdict.app], holdings[verdict.app])
            except ClusterError as error:
                log.warning("%s: %s: %s", verdict.app, type(verdict).__name__, error)
                continue
            self.on_verdict(verdict, wrote)
            carried_out.append(verdict)
            if wrote and isinstance(verdict, Steer):
                astray.discard(verdict.app)
        return carried_out, astray

    async def _report(
        self,
        candidates: Mapping[str, Candidate],
        problems: Mapping[str, Problem],
        verdicts: Iterable[Verdict],
        published: Published,
        now_s: float,
        astray: Collection[str],
    ) -> None:
        by_app: dict[str, list[Verdict]] = {}
        for verdict in verdicts:
            by_app.setdefault(verdict.app, []).append(verdict)
        holdings = self._holdings(candidates)
        trouble = self.learner.measured().trouble
        for key, app in candidates.items():
            if key in astray:  # else the rollout that status shows would look as if it were up to date
                continue
            held, view, problem = holdings[key], self.apps.get(key), problems.get(key)
            rejected, decided = published.rejected.get(key), by_app.get(key, ())
            try:
                await self.writer.write(app, held, view, problem, rejected, decided, now_s, trouble.get(key))
                await self.writer.write_editions(app, held, self.learner.knowledge)
            except ClusterError as error:
                log.warning("status of %s: %s", key, error)
        self.news.tell(self.hands.events, candidates, holdings, now_s)
        try:
            await self.writer.write_pools(candidates, holdings)
        except ClusterError as error:
            log.warning("status of pools: %s", error)
