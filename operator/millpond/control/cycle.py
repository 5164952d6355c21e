"""One pass of observe -> plan -> apply for all apps at once, because they compete for one pool."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from millpond.clock import Clock
from millpond.control.act.act import acting, carry_out
from millpond.control.act.apply import Hands
from millpond.control.act.editions import Editions
from millpond.control.drain.drains import Drains
from millpond.control.due import Due
from millpond.control.guard.each import Each
from millpond.control.learn.learner import Learner
from millpond.control.observe.grants import ANY_EXACT, Grants
from millpond.control.observe.objects import Pod
from millpond.control.observe.world import Holdings, World
from millpond.control.outcome import NOT_PUBLISHED, Done, Outcome, Result
from millpond.control.report import news
from millpond.control.report.news import News
from millpond.control.report.writer import Write, Writer
from millpond.control.resolve.candidates import Candidate, Problem, Resolver
from millpond.control.resolve.hosts import HostBook
from millpond.control.resolve.record import A, Record, RecordOf, ValidRecord, is_valid, observed
from millpond.control.routing.gates import set_gate, wanted_gate
from millpond.control.routing.routes import app_routes, renewed
from millpond.control.snapshot.apps import viewed
from millpond.control.snapshot.nodes import NodeViews
from millpond.control.snapshot.pools import pools
from millpond.router.config import AppRoutes
from millpond.router.xds.control import Published, RouterControl
from millpond_policies.plan import of_apps, plan
from millpond_policies.world.actions import Steer, Verdict
from millpond_policies.world.model import App, Snapshot

OPERATOR = ""  # whose fault it is when it is no app's


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
    default_hosts: tuple[str, ...] = ANY_EXACT  # that namespaces without a grant may claim
    resolver: Resolver = field(default_factory=Resolver)
    hosts: HostBook = field(default_factory=HostBook)
    news: News = field(default_factory=News)
    each: Each = field(default_factory=Each)
    due: Due = field(default_factory=Due)
    hurry: asyncio.Event | None = None  # set: something waits for the next cycle, so status is told beside it
    candidates: Mapping[str, Candidate] = field(default_factory=dict)  # as the last cycle saw them
    records: dict[str, Record] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    nodes: NodeViews = field(default_factory=NodeViews)
    seen: Snapshot = field(default_factory=Snapshot)  # what the last plan was made of
    _routes: Mapping[str, AppRoutes] = field(default_factory=dict)
    _late: dict[str, list[Verdict]] = field(default_factory=dict)

    async def once(self) -> Outcome:
        """One cycle. What fails or hangs for one app is its fault alone: the others go on, and it is tried again."""
        now_s = self.clock()
        self.each.begin({*self.world.apps.store.items(), OPERATOR})
        self._observe(now_s)
        await self.each.breathe()
        self.learner.learn(self.records, self._due(), now_s, self.each.faults)
        await self.each.breathe()
        await self._ensure()
        self._observe_own(now_s)
        published = self._publish()
        self.due.heard(published)
        await self.each.breathe()
        await self._set_gates(published)
        self._observe_own(now_s)
        looked_at = {key: self.records[key] for key in self._due()}
        await self.drains.advance(looked_at, published, now_s, self.each)

        self._observe_own(now_s)
        verdicts = self._plan(now_s)
        await self.each.breathe()
        done = await self._apply(verdicts)
        self._observe_own(now_s)
        outcome = Outcome(
            at_s=now_s,
            due=frozenset(self._due()),
            records=dict(self.records),
            apps=self.apps,
            done=done,
            late=self._take_late(),
            published=published,
            faults=dict(self.each.faults.shown),
        )
        await self.each.breathe()
        await self._report(outcome)
        self.due.ended(outcome, self.each.put_off)
        return outcome

    def _observe(self, now_s: float) -> None:
        """Of every app that is due, what belongs to it; what belongs to those that are being deleted is left to the
        garbage collector. An app that fails here stays as it was seen last, with the servers of now."""
        candidates, last = self._resolve(), self.records
        self.candidates = candidates
        known = self.world.holdings()
        held = {key: known.get(key) or Holdings() for key in candidates}
        changed = {key for key, app in candidates.items() if _differs(last.get(key), app, held[key])}
        news = changed | self.learner.collect(last, now_s, self.each.faults)
        self.due.begin(candidates, news | self.each.faults.before | self.each.over(), now_s)

        def look(key: str) -> Record:
            return observed(candidates[key], held[key], now_s)

        found = self.each.look("observe", self.due.now, look)
        failed = [key for key in self.due.now if key not in found and key in last]
        found |= {key: replace(last[key], app=candidates[key], held=held[key]) for key in failed}
        self.records = {k: r for k in candidates if (r := found.get(k) or last.get(k)) is not None}

    def _due(self) -> list[str]:
        """Apps that this cycle looks at, in the order of all."""
        return [key for key in self.records if key in self.due.now]

    def _observe_own(self, now_s: float) -> None:
        """What our own writes led to, of the apps that had any."""
        for key in self.each.begun() & self.records.keys():
            with self.each.faults.guard(key, "observe"):
                self.records[key] = self._again(self.records[key], now_s)

    def _again(self, record: RecordOf[A], now_s: float) -> RecordOf[A]:
        return observed(record.app, self.world.again(record.held), now_s, record.problem)

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

    def _sound(self) -> list[str]:
        """Apps about which something new may be decided: nothing failed in this cycle, no earlier write goes on."""
        return [key for key in self._due() if key not in self.each.faults.now and self._current(key)]

    def _current(self, key: str) -> bool:
        """Whether what was observed of the app still holds."""
        return key not in self.each.behind

    def _valid(self) -> dict[str, ValidRecord]:
        """Of those that are due."""
        return {key: record for key in self._due() if is_valid(record := self.records[key])}

    def _rest(self) -> Collection[str]:
        """Apps that this cycle does not look at: what was to be written about them still is."""
        return self.records.keys() - self.due.now

    async def _ensure(self) -> None:
        records = self._valid()

        async def make(key: str) -> None:
            record = records[key]
            before = set(record.editions)
            problem = await self.editions.ensure(record)
            news.created(self.hands.events, record.app, sorted(record.editions.keys() - before))
            self._found(key, problem)

        def look(key: str) -> bool:
            record = records[key]
            if record.app.homeless and not record.editions:
                return True
            problem, complete = self.editions.look(record)
            self._found(key, problem)
            return complete

        complete = self.each.look("edition", (key for key in self._sound() if key in records), look)
        incomplete = {key: partial(make, key) for key, done in complete.items() if not done}
        await self.each.make("edition", incomplete, keep=self._rest())

    def _found(self, key: str, problem: Problem | None) -> None:
        if problem is not None and key in self.records:
            self.records[key] = replace(self.records[key], problem=problem)

    async def _do(self, step: str, keys: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
        await self.each.do(step, {key: partial(work, key) for key in keys if self._current(key)})

    def _publish(self) -> Published:
        """Of an app that fails, the last routes with the servers of now."""
        records, last, faults = self.records, self._routes, self.each.faults
        due = self._due()
        found = self.each.look("routes", due, lambda key: app_routes(records[key]))
        failed = [key for key in due if key in faults.now and found.get(key) is None and key in last]
        kept = self.each.look("routes", failed, lambda key: renewed(last[key], records[key].held))
        resting = {key: last[key] for key in self._rest() if key in last}
        routes = {**resting, **{key: last[key] for key in failed}, **kept}
        self._routes = {key: r for key in records if (r := found.get(key) or routes.get(key)) is not None}
        with faults.guard(OPERATOR, "publish"):
            return self.routers.publish(self._routes)
        return NOT_PUBLISHED

    async def _set_gates(self, published: Published) -> None:
        def wanted(key: str) -> list[tuple[Pod, bool]]:
            gates = (
                (pod, wanted_gate(pod, self._routes.get(key), key in published.routed))
                for pod in self.records[key].pods
            )
            return [(pod, gate) for pod, gate in gates if gate is not None and gate != pod.gate]

        async def write(key: str) -> None:
            for pod, gate in changes[key]:
                if not self._current(key):
                    return  # what was seen is old by now
                with self.each.faults.guard(key, "gate"):
                    await set_gate(self.hands.api, self.world, pod, gate, self.clock)
                    if gate and pod.gate is None:
                        self.learner.started(pod)

        changes = self.each.look("gate", self._due(), wanted)
        await self._do("gate", (key for key, found in changes.items() if found), write)

    def _plan(self, now_s: float) -> Sequence[Verdict]:
        """Together, because they share a pool; if that fails, each app alone, to find whose fault it is."""
        faults = self.each.faults
        valid = self._valid()
        looked = self.each.look("snapshot", sorted(valid), lambda key: self._view(valid[key], now_s))
        views = {key: view for key, view in looked.items() if view is not None}
        resting = frozenset(self.apps.keys() & self._rest())
        self.apps = {key: view for key, view in self.apps.items() if key in resting} | views
        apps = tuple(view for key, view in self.apps.items() if key not in faults.now)
        seen = self.seen = replace(self.seen, apps=apps, resting=resting)
        with faults.guard(OPERATOR, "nodes"):
            shared = pools(self.world.pools.store.items())
            seen = self.seen = replace(seen, pools=shared, nodes=self.nodes.of(self.world))
        try:
            return of_apps(plan(seen, now_s))
        except Exception:
            apart = {app.key: replace(seen, apps=(app,)) for app in seen.judged}
            found = self.each.look("plan", apart, lambda key: of_apps(plan(apart[key], now_s)))
            return tuple(chain(*found.values()))

    def _view(self, record: ValidRecord, now_s: float) -> App | None:
        return viewed(record, self.learner.knowledge, self.learner.in_flight((record,), now_s), now_s)

    async def _apply(self, verdicts: Iterable[Verdict]) -> Mapping[str, Sequence[Done]]:
        """What came of them, by app."""
        by_app, records = _by_app(verdicts), self._valid()
        found: dict[str, list[Done]] = {key: [] for key in by_app}
        still: set[str] = set(by_app)

        async def act(key: str) -> None:
            def done(one: Done) -> None:
                if key in still:
                    found[key].append(one)
                elif one.result is Result.ACTED:
                    self._late.setdefault(key, []).append(one.verdict)

            await carry_out(
                by_app[key],
                records[key],
                self.hands,
                self.each.faults,
                valid=lambda: self._current(key),
                done=done,
            )

        to_act = [key for key, of in by_app.items() if acting(of)]
        await self._do("apply", to_act, act)
        still.clear()
        for key in by_app.keys() - set(to_act):
            found[key] = [Done(verdict=verdict, result=Result.HELD) for verdict in by_app[key]]
        return {key: (*found[key], *_failed(by_app[key], found[key])) for key in by_app}

    async def urgent(self, key: str) -> bool:
        """Decide about one app now and write it, beside a cycle that may be going on; False when it has a write
        under way, after which the next cycle looks at it. Its spec is the one that the last cycle read."""
        now_s, before = self.clock(), self.records.get(key)
        if before is None or not is_valid(before) or key in self.each.faults.now:
            return False

        async def act() -> None:
            self.records[key] = record = self._again(before, now_s)
            view = self._view(record, now_s)
            verdicts = of_apps(plan(self._with(view), now_s)) if view is not None else ()
            late = self._late.setdefault(key, [])
            await carry_out(
                verdicts,
                record,
                self.hands,
                self.each.faults,
                valid=lambda: True,
                done=lambda one: late.append(one.verdict) if one.result is Result.ACTED else None,
            )

        return await self.each.alone("urgent", key, act)

    def _with(self, view: App) -> Snapshot:
        """What was seen last, with this one app as it is now; all others rest."""
        others = tuple(app for app in self.seen.apps if app.key != view.key)
        return replace(self.seen, apps=(*others, view), resting=frozenset(app.key for app in others))

    def _take_late(self) -> Mapping[str, Sequence[Verdict]]:
        found, self._late = {key: of for key, of in self._late.items() if of}, {}
        return found

    async def _report(self, outcome: Outcome) -> None:
        records, now_s = self.records, outcome.at_s
        trouble = self.learner.measured().trouble

        def news_of(key: str) -> Sequence[Write]:
            told = self.writer.app(records[key], outcome, trouble.get(key))
            return [*told, *self.writer.editions(records[key], self.learner.knowledge)]

        telling = self.each.telling
        # Of an app whose rollout could not be steered, status would look as if it were up to date.
        astray = {k for k, of in outcome.failed.items() if any(isinstance(v, Steer) for v in of)}
        keys = [key for key in self._sound() if key not in astray and key not in telling.behind]
        writes = self.each.look("status", keys, news_of)
        self.each.look("news", keys, lambda key: self.news.tell(self.hands.events, records[key]))
        self.news.forget_others(app.uid for app in self.candidates.values())
        failed = [k for k in self.each.faults.now if k in self.candidates and k not in telling.behind]
        shown = self.each.faults.shown
        writes |= self.each.look(
            "fault", failed, lambda key: self.writer.fault(self.candidates[key], shown.get(key), now_s)
        )

        async def write(key: str) -> None:
            for one in writes[key]:
                await self.writer.carry_out(one)

        offered = {key: partial(write, key) for key, found in writes.items() if found}
        if OPERATOR not in telling.behind:
            offered[OPERATOR] = partial(self.writer.write_pools, list(records.values()))
        telling.offer("status", offered, keep=self._rest())
        await telling.settle(self.each.left_s, self.hurry)


def _differs(last: Record | None, app: Candidate, held: Holdings) -> bool:
    """Whether an app or what belongs to it is another than it was."""
    return last is None or (last.app is not app and last.app != app) or last.held != held


def _by_app(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.app, []).append(verdict)
    return found


def _failed(planned: Sequence[Verdict], done: Sequence[Done]) -> list[Done]:
    """Those of which nothing came."""
    there = [id(one.verdict) for one in done]
    return [Done(verdict=v, result=Result.FAILED) for v in planned if id(v) not in there]
