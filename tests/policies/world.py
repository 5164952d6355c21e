"""A world for ``plan()``: requests, servers, a router and one sample a second, on a virtual clock.

    world = World(kind=Kind(slots=4), goal=average(300), load=steps((30, 12), (45, 52)))
    world.run(75)
    world.ordered_over_time  # [(0.0, 1), (32.1, 2)]

It behaves like the real one as far as sizing can see: servers take time to start and to warm up, a retired one
finishes its requests, the router sends each request to the less busy of two servers, telemetry comes each second.
"""

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.learning import Memory, Sample, learn, learn_start
from millpond_policies.plan import plan
from millpond_policies.world.actions import CancelRetire, CancelStarting, Grow, Hold, Retire, Verdict
from millpond_policies.world.model import App, EditionView, Freshness, Mode, Server, ServerState, Snapshot

from policies.stations import Kind, Shared, Slots, draw_s

Rate = Callable[[float], float]  # seconds → requests a second
EPOCH_S = 1_700_000_000.0
PLACED_S = 0.2


def average(target_ms: float) -> Goal:
    return Goal(kind=GoalKind.AVERAGE, target_ms=target_ms)


def percentile(target_ms: float, p: float) -> Goal:
    return Goal(kind=GoalKind.PERCENTILE, target_ms=target_ms, percentile=p)


def steps(*parts: tuple[float, float]) -> Rate:
    """``(seconds, rate)`` after one another; the last rate goes on."""

    def rate(t: float) -> float:
        for length, value in parts:
            if t < length:
                return value
            t -= length
        return parts[-1][1]

    return rate


@dataclass(eq=False)
class Instance:
    """One simulated server."""

    uid: str
    created_s: float
    station: Slots | Shared
    state: ServerState = ServerState.PENDING
    serving_since_s: float | None = None
    in_flight: int = 0


@dataclass
class World:
    kind: Kind
    goal: Goal
    load: Rate
    seed: int = 1
    poisson: bool = True
    min_servers: int = 1
    max_servers: int = 20
    start_servers: int | None = None
    memory: Memory = field(default_factory=Memory)
    backend: Kind | None = None  # shared by all servers, which wait for it
    cpu_figures: bool = False
    mode: Mode = Mode.AUTOMATIC
    sampled: Callable[[float, Sample], Sample | None] = lambda t, sample: sample  # tamper with telemetry
    freshness: Callable[[float], Freshness] = lambda t: Freshness.FRESH

    def __post_init__(self) -> None:
        self.t = 0.0
        self.rng = Random(self.seed)
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.turn = 0
        self.instances: list[Instance] = []
        self.ordered = self.min_servers if self.start_servers is None else self.start_servers
        self.verdicts: list[tuple[float, Verdict]] = []
        self.seconds: list[Sample] = []
        self.ordered_over_time: list[tuple[float, int]] = [(0.0, self.ordered)]
        self.server_seconds = 0.0
        self.lost = 0
        self._clear()
        self.backend_station = None if self.backend is None else Slots(self.backend.slots, self.schedule)
        self._reconcile()
        for instance in self.instances:
            self._serve(instance)
            instance.serving_since_s = -1000.0

    # -- running ------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> "World":
        """Advance by whole seconds: requests, then a sample, then a decision that takes effect at once."""
        for _ in range(int(seconds)):
            for arrival in self._arrivals():
                self.schedule(arrival, self._request)
            end = self.t + 1.0
            while self.events and self.events[0][0] <= end:
                self.t, _, happen = heapq.heappop(self.events)
                happen()
            self.t = end
            self.server_seconds += len(self.instances)
            self._sample()
            self._decide()
        return self

    def schedule(self, delay_s: float, happen: Callable[[], None]) -> None:
        self.turn += 1
        heapq.heappush(self.events, (self.t + delay_s, self.turn, happen))

    def _arrivals(self) -> Iterator[float]:
        rate = self.load(self.t + 0.5)
        if self.poisson:
            at = self.rng.expovariate(rate) if rate > 0 else 2.0
            while at < 1.0:
                yield at
                at += self.rng.expovariate(rate)
        else:
            first, last = math.ceil(self.t * rate), math.ceil((self.t + 1) * rate)
            yield from (i / rate - self.t for i in range(first, last))

    # -- requests -----------------------------------------------------------------------------------------------

    def _request(self) -> None:
        serving = [i for i in self.instances if i.state is ServerState.SERVING]
        if not serving:
            self.lost += 1
            return
        pair = self.rng.sample(serving, min(2, len(serving)))
        self._send(min(pair, key=lambda i: i.in_flight), self.t)

    def _send(self, instance: Instance, came_s: float) -> None:
        instance.in_flight += 1

        def done() -> None:
            instance.in_flight -= 1
            self._answered(self.t - came_s)

        work = draw_s(self.kind.cpu_ms or self.kind.service_ms, self.kind.exponential, self.rng)
        young = instance.serving_since_s is not None and self.t - instance.serving_since_s < self.kind.warm_s
        work *= 2 if young else 1
        station = instance.station
        if self.backend is not None and self.backend_station is not None:
            behind, shared = (
                draw_s(self.backend.service_ms, self.backend.exponential, self.rng),
                self.backend_station,
            )
            self.schedule(work, lambda: shared.enter(behind, done))
        elif self.kind.wait_ms:
            self.schedule(self.kind.wait_ms / 1000, lambda: station.enter(work, done))
        else:
            station.enter(work, done)

    def _answered(self, took_s: float) -> None:
        self.requests += 1
        self.sum_ms += took_s * 1000
        self.histogram[bisect_left(BOUNDS_MS, took_s * 1000)] += 1

    def _clear(self) -> None:
        self.requests, self.sum_ms, self.histogram = 0, 0.0, [0] * (len(BOUNDS_MS) + 1)

    # -- control ------------------------------------------------------------------------------------------------

    def _sample(self) -> None:
        serving = [i for i in self.instances if i.state is ServerState.SERVING]
        young = [i for i in serving if self.t - (i.serving_since_s or 0.0) < self.memory.warm_up_s]
        sample = Sample(
            at_s=EPOCH_S + self.t,
            window_s=1.0,
            requests=self.requests,
            sum_ms=self.sum_ms,
            histogram=tuple(self.histogram),
            in_flight=sum(i.in_flight for i in self.instances),
            serving=len(serving),
            young=len(young),
            starting=sum(i.state in (ServerState.PENDING, ServerState.STARTING) for i in self.instances),
            cpu_cores=self._cpu() if self.cpu_figures else None,
            cores_per_server=self.kind.cores if self.cpu_figures else None,
        )
        self._clear()
        self.seconds.append(sample)
        seen = self.sampled(self.t, sample)
        if seen is not None:
            self.memory = learn(self.memory, seen, self.goal)

    def _cpu(self) -> float:
        used = 0.0
        for instance in self.instances:
            if isinstance(instance.station, Shared):
                used, instance.station.used_s = used + instance.station.used_s, 0.0
        return used

    def snapshot(self) -> Snapshot:
        view = EditionView(
            name="v1", ordered=self.ordered, memory=self.memory, freshness=self.freshness(self.t)
        )
        app = App(
            key="shop/web",
            edition="v1",
            active="v1",
            goal=self.goal,
            min_servers=self.min_servers,
            max_servers=self.max_servers,
            mode=self.mode,
            editions=(view,),
            servers=tuple(map(_server, self.instances)),
        )
        return Snapshot(apps=(app,))

    def _decide(self) -> None:
        for verdict in plan(self.snapshot(), EPOCH_S + self.t):
            self.verdicts.append((self.t, verdict))
            self._obey(verdict)
        for instance in [i for i in self.instances if i.state is ServerState.DRAINING and not i.in_flight]:
            self.instances.remove(instance)
            self._order(self.ordered - 1)
        self._reconcile()

    def _obey(self, verdict: Verdict) -> None:
        match verdict:
            case Grow():
                self._order(verdict.to)
            case CancelStarting():
                for _ in range(self.ordered - verdict.to):
                    coming = [
                        i for i in self.instances if i.state in (ServerState.PENDING, ServerState.STARTING)
                    ]
                    self.instances.remove(coming[-1])
                self._order(verdict.to)
            case Retire():
                self._find(verdict.uid).state = ServerState.DRAINING
            case CancelRetire():
                self._find(verdict.uid).state = ServerState.SERVING
            case Hold():
                pass

    def _order(self, servers: int) -> None:
        self.ordered = servers
        self.ordered_over_time.append((self.t, servers))

    def _find(self, uid: str) -> Instance:
        return next(i for i in self.instances if i.uid == uid)

    def _reconcile(self) -> None:
        while len(self.instances) < self.ordered:
            self.turn += 1
            station = (
                Shared(self.kind.cores, self.schedule, lambda: self.t, changed_s=self.t)
                if self.kind.cpu_ms
                else Slots(self.kind.slots, self.schedule)
            )
            instance = Instance(uid=f"server-{self.turn}", created_s=self.t, station=station)
            self.instances.append(instance)
            self.schedule(PLACED_S, lambda i=instance: self._place(i))
            self.schedule(self.kind.start_s, lambda i=instance: self._serve(i))

    def _place(self, instance: Instance) -> None:
        if instance.state is ServerState.PENDING:
            instance.state = ServerState.STARTING

    def _serve(self, instance: Instance) -> None:
        if instance in self.instances and instance.state in (ServerState.PENDING, ServerState.STARTING):
            instance.state, instance.serving_since_s = ServerState.SERVING, self.t
            if self.t > 0:
                self.memory = learn_start(self.memory, self.t - instance.created_s)

    # -- what came of it ----------------------------------------------------------------------------------------

    @property
    def actions(self) -> list[tuple[float, Verdict]]:
        return [(t, v) for t, v in self.verdicts if not isinstance(v, Hold)]

    @property
    def sequence(self) -> list[int]:
        """The numbers of servers ordered, one after the other."""
        counts = [n for _, n in self.ordered_over_time]
        return [n for i, n in enumerate(counts) if i == 0 or n != counts[i - 1]]

    def restarted(self) -> None:
        """The operator forgets what is not written down."""
        self.memory = Memory.from_dict(self.memory.to_dict())


def _server(instance: Instance) -> Server:
    return Server(
        uid=instance.uid,
        name=instance.uid,
        edition="v1",
        state=instance.state,
        created_s=EPOCH_S + instance.created_s,
        serving_since_s=None if instance.serving_since_s is None else EPOCH_S + instance.serving_since_s,
        in_flight=instance.in_flight,
    )


__all__ = ["EPOCH_S", "Kind", "World", "average", "percentile", "replace", "steps"]
