"""One pass of observe -> plan -> apply for all apps at once, because they compete for one pool."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from millpond.clock import Clock
from millpond.control.act.apply import Hands
from millpond.control.act.editions import Editions
from millpond.control.drain.drains import Drains
from millpond.control.guard.each import Each
from millpond.control.learn.learner import Learner
from millpond.control.observe.grants import ANY_EXACT, Grants
from millpond.control.observe.objects import Pod
from millpond.control.observe.world import Holdings, World
from millpond.control.report import news
from millpond.control.report.news import News
from millpond.control.report.writer import Write, Writer
from millpond.control.resolve.candidates import Candidate, Problem, Resolver, valid
from millpond.control.resolve.hosts import HostBook
from millpond.control.routing.gates import set_gate, wanted_gate
from millpond.control.routing.routes import app_routes, renewed
from millpond.control.snapshot.apps import viewed
from millpond.router.config import AppRoutes
from millpond.router.xds.control import Published, RouterControl
from millpond_policies.plan import of_apps, plan
from millpond_policies.world.actions import Hold, Steer, Verdict
from millpond_policies.world.model import App, Snapshot

log = logging.getLogger(__name__)
OPERATOR = ""  # whose fault it is when it is no app's


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
    default_hosts: tuple[str, ...] = ANY_EXACT  # that namespaces without a grant may claim
    resolver: Resolver = field(default_factory=Resolver)
    hosts: HostBook = field(default_factory=HostBook)
    news: News = field(default_factory=News)
    each: Each = field(default_factory=Each)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)  # as the last cycle saw them
    apps: Mapping[str, App] = field(default_factory=dict)
    _routes: Mapping[str, AppRoutes] = field(default_factory=dict)

    async def once(self) -> None:
        """One cycle. What fails or hangs for one app is its fault alone: the others go on, and it is tried again."""
        now_s = self.clock()
        self.each.begin({*self.world.apps.store.items(), OPERATOR})
        candidates = self.candidates = self._resolve()
        holdings = self._holdings(candidates)
        self.learner.learn(candidates, holdings, now_s, self.each.faults)
        problems = await self._ensure(candidates, holdings)
        published = self._publish(candidates, holdings)
        await self._set_gates(candidates, holdings, published)
        await self.drains.advance(candidates, self._holdings(candidates), published, now_s, self.each)

        holdings = self._holdings(candidates)  # with our own writes of this cycle
        verdicts = self._plan(candidates, holdings, problems, now_s)
        carried_out, astray = await self._apply(verdicts, candidates, holdings)
        await self._report(candidates, problems, carried_out, published, now_s, astray)

    def _resolve(self) -> dict[str, Candidate]:
        """An app that fails here stays as it was resolved last."""
        world, last = self.world, self.candidates
        found = self.resolver.resolve(
            world.apps.store.items(),
            world.policies.store.items(),
            world.pools.store.items(),
            self.each.faults,
        )
        kept = ((key, app) for key, app in found.items() if key in self.each.faults.now and key in last)
        found |= {key: replace(last[key], raw=app.raw) for key, app in kept}
        grants = Grants(default=self.default_hosts, known=dict(world.namespaces))
        return self.hosts.settle(found, grants, self.each.faults)

    def _holdings(self, candidates: Iterable[str]) -> dict[str, Holdings]:
        """Of every candidate; what belongs to apps that are being deleted is left to the garbage collector."""
        found = self.world.holdings()
        return {key: found.get(key) or Holdings() for key in candidates}

    def _sound(self, candidates: Iterable[str]) -> list[str]:
        """Apps about which something new may be decided: nothing failed in this cycle, no earlier write goes on."""
        return [key for key in candidates if key not in self.each.faults.now and key not in self.each.busy]

    async def _ensure(
        self, candidates: Mapping[str, Candidate], holdings: Mapping[str, Holdings]
    ) -> dict[str, Problem]:
        problems = {key: app.problem for key, app in candidates.items() if app.problem is not None}
        apps = valid(candidates)

        async def make(key: str) -> None:
            app, before = apps[key], set(holdings[key].editions)
            problem = await self.editions.ensure(app, holdings[key])
            news.created(self.hands.events, app, sorted(holdings[key].editions.keys() - before))
            if problem is not None:
                problems[key] = problem

        def look(key: str) -> bool:
            app, held = apps[key], holdings[key]
            if app.homeless and not held.editions:
                return True
            problem, complete = self.editions.look(app, held)
            if problem is not None:
                problems[key] = problem
            return complete

        complete = self.each.look("edition", self._sound(apps), look)
        await self._do("edition", (key for key, done in complete.items() if not done), make)
        return problems

    async def _do(self, step: str, keys: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
        await self.each.do(step, {key: partial(work, key) for key in keys})

    def _publish(self, candidates: Mapping[str, Candidate], holdings: Mapping[str, Holdings]) -> Published:
        """Of an app that fails, the last routes with the servers of now."""
        last, faults = self._routes, self.each.faults
        found = self.each.look("routes", candidates, lambda key: app_routes(candidates[key], holdings[key]))
        failed = [key for key in candidates if key in faults.now and found.get(key) is None and key in last]
        kept = self.each.look("routes", failed, lambda key: renewed(last[key], holdings[key]))
        routes = {**{key: last[key] for key in failed}, **kept}
        self._routes = {key: r for key in candidates if (r := found.get(key) or routes.get(key)) is not None}
        with faults.guard(OPERATOR, "publish"):
            return self.routers.publish(self._routes)
        return Published(confirmed=frozenset(), rejected={}, waiting=())  # nothing is known to be served

    async def _set_gates(
        self, candidates: Mapping[str, Candidate], holdings: Mapping[str, Holdings], published: Published
    ) -> None:
        def wanted(key: str) -> list[tuple[Pod, bool]]:
            gates = (
                (pod, wanted_gate(pod, self._routes.get(key), key in published.routed))
                for pod in holdings[key].pods
            )
            return [(pod, gate) for pod, gate in gates if gate is not None and gate != pod.gate]

        async def write(key: str) -> None:
            for pod, gate in changes[key]:
                if key in self.each.busy:
                    return  # what was seen is old by now
                with self.each.faults.guard(key, "gate"):
                    await set_gate(self.hands.api, self.world, pod, gate, self.clock)
                    if gate and pod.gate is None:
                        self.learner.started(pod)

        changes = self.each.look("gate", candidates, wanted)
        await self._do("gate", (key for key, found in changes.items() if found), write)

    def _plan(
        self,
        candidates: Mapping[str, Candidate],
        holdings: Mapping[str, Holdings],
        problems: Mapping[str, Problem],
        now_s: float,
    ) -> Sequence[Verdict]:
        """Together, because they share a pool; if that fails, each app alone, to find whose fault it is."""
        faults, apps = self.each.faults, valid(candidates)
        in_flight = self.learner.in_flight(candidates, holdings, now_s)
        views = self.each.look(
            "snapshot",
            sorted(apps),
            lambda key: viewed(
                apps[key],
                holdings[key],
                self.learner.knowledge,
                in_flight,
                now_s,
                refused=key in problems,
            ),
        )
        self.apps = {key: view for key, view in views.items() if view is not None}
        seen = Snapshot(apps=tuple(view for key, view in self.apps.items() if key not in faults.now))
        try:
            return of_apps(plan(seen, now_s))
        except Exception:
            apart = {app.key: replace(seen, apps=(app,)) for app in seen.apps}
            found = self.each.look("plan", apart, lambda key: of_apps(plan(apart[key], now_s)))
            return tuple(chain(*found.values()))

    async def _apply(
        self,
        verdicts: Iterable[Verdict],
        candidates: Mapping[str, Candidate],
        holdings: Mapping[str, Holdings],
    ) -> tuple[Mapping[str, Sequence[Verdict]], Collection[str]]:
        """By app the verdicts that hold now, and the apps whose rollout could not be steered: next cycle again."""
        by_app, apps = _by_app(verdicts), valid(candidates)
        astray = {key for key, of in by_app.items() if any(isinstance(v, Steer) for v in of)}
        carried_out: dict[str, list[Verdict]] = {key: [] for key in by_app}

        def done(key: str, verdict: Verdict, wrote: bool) -> None:
            self.on_verdict(verdict, wrote)
            carried_out[key].append(verdict)
            if wrote and isinstance(verdict, Steer):
                astray.discard(key)

        async def act(key: str) -> None:
            for verdict in by_app[key]:
                if key in self.each.busy:
                    return  # what was planned is old by now
                if not self.hands.able(verdict):
                    continue
                with self.each.faults.guard(key, type(verdict).__name__):
                    done(key, verdict, await self.hands.apply(verdict, apps[key], holdings[key]))

        acting = {key for key, of in by_app.items() if not all(isinstance(v, Hold) for v in of)}
        for key in by_app.keys() - acting:
            for verdict in by_app[key]:
                done(key, verdict, False)
        await self._do("apply", (key for key in by_app if key in acting), act)
        return carried_out, astray

    async def _report(
        self,
        candidates: Mapping[str, Candidate],
        problems: Mapping[str, Problem],
        verdicts: Mapping[str, Sequence[Verdict]],
        published: Published,
        now_s: float,
        astray: Collection[str],
    ) -> None:
        holdings, faults = self._holdings(candidates), self.each.faults
        trouble = self.learner.measured().trouble

        def news_of(key: str) -> Sequence[Write]:
            app, held = candidates[key], holdings[key]
            problem, rejected = problems.get(key), published.rejected.get(key)
            told, why, fault = verdicts.get(key, ()), trouble.get(key), faults.shown.get(key)
            view = self.apps.get(key)
            of_app = self.writer.app(app, held, view, problem, rejected, told, now_s, why, fault)
            return [*of_app, *self.writer.editions(app, held, self.learner.knowledge)]

        # Of an app that is astray, the rollout that status shows would look as if it were up to date.
        keys = [key for key in self._sound(candidates) if key not in astray]
        writes = self.each.look("status", keys, news_of)
        self.each.look(
            "news", keys, lambda key: self.news.tell(self.hands.events, candidates[key], holdings[key], now_s)
        )
        self.news.forget_others(app.uid for app in candidates.values())
        failed = [key for key in faults.now if key in candidates]
        writes |= self.each.look(
            "fault", failed, lambda key: self.writer.fault(candidates[key], faults.shown.get(key), now_s)
        )

        async def write(key: str) -> None:
            for one in writes[key]:
                await self.writer.carry_out(one)

        async def write_pools(_: str) -> None:
            await self.writer.write_pools(candidates, holdings)

        await self._do("status", (key for key, found in writes.items() if found), write)
        await self._do("pools", [OPERATOR], write_pools)


def _by_app(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.app, []).append(verdict)
    return found
