"""A small world in which a rollout takes its course: servers start and drain in so many ticks, one second each."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from millpond_policies.plan import of_apps, plan
from millpond_policies.world.actions import CancelRetire, CancelStarting, Grow, Hold, Retire, Steer, Verdict
from millpond_policies.world.model import App, EditionView, Freshness, Server, ServerState, Snapshot
from millpond_policies.world.release import Evidence, Phase, Progress, Way
from millpond_policies.world.strategy import Strategy

from policies.building import NOW, after_load, app, server, serving


def seen(mean_ms: float, requests: int = 500, errors: int = 0, windows: int = 20) -> Evidence:
    """Even evidence: each second as the others."""
    return Evidence(
        requests=requests,
        errors=errors,
        timed=requests,
        sum_ms=requests * mean_ms,
        windows=windows,
        windows_ms=windows * mean_ms,
        windows_square=windows * mean_ms * mean_ms,
    )


SOUND, SLOW, FAILING = seen(100.0), seen(900.0), seen(100.0, errors=60)
NOTHING = Evidence()


@dataclass
class Swapping:
    """v1 serves with ``servers`` servers; spec names v2."""

    way: Way
    servers: int = 2
    start_ticks: int = 2
    drain_ticks: int = 2
    starts: bool = True  # whether servers of v2 ever come up
    evidence: Evidence = SOUND  # of the new edition, whenever it has requests
    freshness: Freshness = Freshness.FRESH
    now_s: float = NOW
    app: App = field(init=False)
    least_serving: int = field(init=False)
    most_draining: int = 0
    most_kept: int = 0
    phases: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    _ages: dict[str, int] = field(default_factory=dict)
    _made: int = 0

    def __post_init__(self) -> None:
        load = after_load(15 * self.servers, self.servers)
        editions = (
            EditionView(name="v1", ordered=self.servers, memory=load, freshness=Freshness.FRESH),
            EditionView(name="v2", ordered=0, freshness=Freshness.FRESH),
        )
        self.app = app(
            serving(self.servers),
            edition="v2",
            active="v1",
            editions=editions,
            way=self.way,
            min_servers=self.servers,
            watched_since_s=NOW - 1000,
        )
        self.least_serving = self.servers

    @property
    def progress(self) -> Progress:
        assert self.app.progress is not None
        return self.app.progress

    def count(self, edition: str, *states: ServerState) -> int:
        return len(self.app.servers_of(edition, *states))

    def tick(self) -> tuple[Verdict, ...]:
        """One second: judge, obey, let servers age."""
        self.now_s += 1
        last = self.app.progress
        step = last.step if last and not last.phase.final else 0
        editions = tuple(
            replace(
                e,
                freshness=self.freshness,
                evidence=self.evidence if e.name == "v2" and step else SOUND if e.name == "v1" else NOTHING,
            )
            for e in self.app.editions
        )
        self.app = replace(self.app, editions=editions)
        found = of_apps(plan(Snapshot(apps=(self.app,)), self.now_s))
        for verdict in found:
            self._obey(verdict)
        self.verdicts += [v for v in found if not isinstance(v, Hold)]
        self._age()
        self._note()
        return found

    def run(self, ticks: int) -> "Swapping":
        for _ in range(ticks):
            self.tick()
        return self

    def until(self, reached: Callable[["Swapping"], bool], ticks: int = 200) -> "Swapping":
        for _ in range(ticks):
            if reached(self):
                return self
            self.tick()
        raise AssertionError(f"not reached: {self.app.progress}")

    def _obey(self, verdict: Verdict) -> None:
        match verdict:
            case Grow() | CancelStarting():
                self._order(verdict.edition, verdict.to)
            case Retire():
                self._turn(verdict.uid, ServerState.DRAINING)
            case CancelRetire():
                self._turn(verdict.uid, ServerState.SERVING)
            case Steer():
                active = verdict.to.edition if verdict.to.completed else self.app.active
                self.app = replace(self.app, progress=verdict.to, active=active)
            case Hold():
                pass

    def _order(self, edition: str, to: int) -> None:
        view = self.app.view(edition)
        assert view is not None
        there = self.app.servers_of(edition)
        if to > view.ordered:
            for _ in range(to - view.ordered):
                self._made += 1
                name = f"{edition}-n{self._made}"
                new = server(name, ServerState.STARTING, edition=edition, created_s=self.now_s)
                self.app = replace(self.app, servers=(*self.app.servers, new))
        else:
            coming = [s for s in there if s.state in (ServerState.STARTING, ServerState.PENDING)]
            gone = {s.uid for s in coming[: view.ordered - to]}
            self._remove(gone)
        self._reorder(edition, to)

    def _reorder(self, edition: str, to: int) -> None:
        editions = (replace(e, ordered=to) if e.name == edition else e for e in self.app.editions)
        self.app = replace(self.app, editions=tuple(editions))

    def _remove(self, uids: set[str]) -> None:
        self.app = replace(self.app, servers=tuple(s for s in self.app.servers if s.uid not in uids))

    def _turn(self, uid: str, state: ServerState) -> None:
        self._ages[uid] = 0
        turned = (replace(s, state=state) if s.uid == uid else s for s in self.app.servers)
        self.app = replace(self.app, servers=tuple(turned))

    def _age(self) -> None:
        for one in self.app.servers:
            age = self._ages[one.uid] = self._ages.get(one.uid, 0) + 1
            may_start = self.starts or one.edition == "v1"
            if one.state is ServerState.STARTING and may_start and age >= self.start_ticks:
                self._turn(one.uid, ServerState.SERVING)
            elif one.state is ServerState.DRAINING and age >= self.drain_ticks:
                view = self.app.view(one.edition)
                assert view is not None
                self._reorder(one.edition, view.ordered - 1)
                self._remove({one.uid})

    def _note(self) -> None:
        servers: tuple[Server, ...] = self.app.servers
        up = sum(s.state is ServerState.SERVING for s in servers)
        self.least_serving = min(self.least_serving, up)
        self.most_draining = max(self.most_draining, sum(s.state is ServerState.DRAINING for s in servers))
        self.most_kept = max(self.most_kept, len(servers))
        if self.app.progress is not None:
            phase, weight = self.progress.phase.value, self.progress.weight
            self.phases += [phase] if self.phases[-1:] != [phase] else []
            self.weights += [weight] if self.weights[-1:] != [weight] else []


def way(strategy: Strategy = Strategy.ATOMIC, **more: object) -> Way:
    known = Way(strategy=strategy, soak_s=5.0, deadline_s=60.0)
    return replace(known, **more)  # type: ignore[arg-type]


def final(world: Swapping) -> bool:
    return world.app.progress is not None and world.progress.phase.final


def over(world: Swapping) -> bool:
    """Final, and only the serving edition has servers."""
    return final(world) and all(
        not world.app.servers_of(e.name) and not e.ordered
        for e in world.app.editions
        if e.name != world.app.active
    )


def in_phase(phase: Phase) -> Callable[[Swapping], bool]:
    return lambda world: world.app.progress is not None and world.progress.phase is phase


def at_step(step: int) -> Callable[[Swapping], bool]:
    return lambda world: world.app.progress is not None and world.progress.step == step
