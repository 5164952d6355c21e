"""One pass of observe -> plan -> apply for all apps at once, because they compete for one pool."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from millpond.clock import Clock
from millpond.control.act.acts import Acts
from millpond.control.act.editions import Editions
from millpond.control.drain.drains import Drains
from millpond.control.due import Due, New
from millpond.control.guard.each import Each
from millpond.control.learn.learner import Learner
from millpond.control.observe.grants import ANY_EXACT, Grants
from millpond.control.observe.objects import Pod
from millpond.control.observe.world import Holdings, World
from millpond.control.outcome import Outcome
from millpond.control.report import news
from millpond.control.report.reporter import Reporter
from millpond.control.resolve.candidates import Candidate, Problem, Resolver
from millpond.control.resolve.hosts import HostBook
from millpond.control.resolve.record import A, Record, RecordOf, ValidRecord, is_valid, observed
from millpond.control.routing.gates import set_gate
from millpond.control.routing.publisher import Publisher
from millpond.control.snapshot.apps import viewed
from millpond.control.snapshot.nodes import NodeViews
from millpond.control.snapshot.pools import pools
from millpond.router.xds.control import Published
from millpond_policies.plan import of_apps, plan
from millpond_policies.world.actions import Verdict
from millpond_policies.world.model import App, Snapshot

OPERATOR = ""  # whose fault it is when it is no app's


@dataclass(slots=True, kw_only=True)
class Cycle:
    """``once`` is level-triggered: run again from any state, it goes on where the cluster is."""

    world: World
    publisher: Publisher
    each: Each
    learner: Learner
    acts: Acts
    drains: Drains
    editions: Editions
    reporter: Reporter
    clock: Clock
    default_hosts: tuple[str, ...] = ANY_EXACT  # that namespaces without a grant may claim
    resolver: Resolver = field(default_factory=Resolver)
    hosts: HostBook = field(default_factory=HostBook)
    due: Due = field(default_factory=Due)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)  # as the last cycle saw them
    records: dict[str, Record] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    nodes: NodeViews = field(default_factory=NodeViews)
    seen: Snapshot = field(default_factory=Snapshot)  # what the last plan was made of

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
        published = self.publisher.publish(self.records, self._due())
        self.due.heard(published)
        await self.each.breathe()
        await self._set_gates(published)
        self._observe_own(now_s)
        looked_at = {key: self.records[key] for key in self._due()}
        await self.drains.advance(looked_at, published, now_s, self.each)

        self._observe_own(now_s)
        verdicts = self._plan(now_s)
        await self.each.breathe()
        done = await self.acts.all(verdicts, self._valid())
        self._observe_own(now_s)
        outcome = Outcome(
            at_s=now_s,
            due=frozenset(self._due()),
            records=dict(self.records),
            apps=self.apps,
            done=done,
            late=self.acts.late(),
            published=published,
            faults=dict(self.each.faults.shown),
        )
        await self.each.breathe()
        await self.reporter.tell(outcome, self.candidates, self._sound(), self._rest())
        self.due.ended(outcome, self.each.put_off)
        return outcome

    def _observe(self, now_s: float) -> None:
        """Of every app that is due, what belongs to it; what belongs to those that are being deleted is left to the
        garbage collector. An app that fails here stays as it was seen last, with the servers of now."""
        candidates, last = self._resolve(), self.records
        self.candidates = candidates
        known = self.world.holdings()
        held = {key: known.get(key) or Holdings() for key in candidates}
        found_new = self.each.look(
            "new", candidates, lambda key: _new(last.get(key), candidates[key], held[key])
        )
        news = self.learner.collect(last, now_s, self.each.faults)
        news |= self.each.faults.before | self.each.over()
        news |= {key for key in candidates if found_new.get(key, New.AT_ONCE) is New.AT_ONCE}
        self.due.begin(candidates, news, now_s, {k for k, new in found_new.items() if new is New.LATER})

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
            news.created(self.acts.hands.events, record.app, sorted(record.editions.keys() - before))
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

    async def _set_gates(self, published: Published) -> None:
        def wanted(key: str) -> list[tuple[Pod, bool]]:
            return list(self.publisher.gates(self.records[key], published))

        async def write(key: str) -> None:
            for pod, gate in changes[key]:
                if not self._current(key):
                    return  # what was seen is old by now
                with self.each.faults.guard(key, "gate"):
                    await set_gate(self.acts.hands.api, self.world, pod, gate, self.clock)
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
            await self.acts.at_once(verdicts, record)

        return await self.each.alone("urgent", key, act)

    def _with(self, view: App) -> Snapshot:
        """What was seen last, with this one app as it is now; all others rest."""
        others = tuple(app for app in self.seen.apps if app.key != view.key)
        return replace(self.seen, apps=(*others, view), resting=frozenset(app.key for app in others))


def _new(last: Record | None, app: Candidate, held: Holdings) -> New:
    """At once: the app itself, its spec or what belongs to it. Later: its policy, or what we wrote of it ourselves."""
    if last is None or _version(last.app) != _version(app) or last.held != held:
        return New.AT_ONCE
    return New.LATER if last.app is not app and last.app != app else New.NOTHING


def _version(app: Candidate) -> tuple[object, object]:
    return app.uid, app.raw["metadata"].get("generation")
