"""From telemetry to knowledge, once per observation: what editions can do, and what each server is busy with."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from millpond.api.kinds.sla import Source
from millpond.clock import Clock
from millpond.control.guard.faults import Faults
from millpond.control.learn.knowledge import Knowledge, Observed, from_routers, silent
from millpond.control.observe.objects import Pod
from millpond.control.resolve.record import Record
from millpond.router.config import Endpoint, cluster_name
from millpond.router.telemetry.collector import Collected, Telemetry
from millpond_policies.goals import Goal

IDLE_S = 10.0  # an app without requests for so long is at rest
LOAD_TRUSTED_S = 3.0  # an in-flight figure older than this is unknown
_FRESH_BIRTH_S = 2.0
_LATELY = 64  # collections: more than come while an app at rest is not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the slow path (Prometheus) knows; empty when it is away, and nothing is the worse for it."""

    cpu_cores: Mapping[tuple[str, str], float] = field(
        default_factory=dict
    )  # (namespace, pod), fresh ones only
    foreign: Mapping[str, Observed] = field(default_factory=dict)  # app key -> newest observation
    trouble: Mapping[str, str] = field(default_factory=dict)  # app key -> why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLoad:
    at_s: float  # when the oldest of the routers' reports came
    in_flight: int  # requests and streams
    streams: int
    total: int  # requests and streams since this operator started


@dataclass(slots=True, kw_only=True)
class Learner:
    telemetry: Telemetry
    clock: Clock
    measured: Callable[[], Measured] = Measured
    knowledge: Knowledge = field(default_factory=Knowledge)
    _loads: dict[str, ServerLoad] = field(default_factory=dict)  # by the server's authority
    _loads_at_s: float = 0.0
    _born_s: dict[str, float] = field(default_factory=dict)  # pod UID -> when it was first seen
    _foreign_at_s: dict[str, float] = field(
        default_factory=dict
    )  # app key -> newest observation that was used
    _new: Collected | None = None  # since the cycle before
    _measured: Measured = field(default_factory=Measured)
    _whole: bool = False  # whether the last collection was complete
    _lately: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_LATELY))
    _learned_s: dict[str, float] = field(default_factory=dict)  # app key -> newest collection that was used
    _loaded_s: dict[str, float] = field(default_factory=dict)  # app key -> newest one with requests

    def __post_init__(self) -> None:
        self.knowledge.since_s = self.clock()

    def collect(self, records: Mapping[str, Record], now_s: float, faults: Faults) -> set[str]:
        """Take in what came since the last time; answers of which apps it says anything new: that nobody asks for an
        app at rest is no news."""
        self._new = None
        troubled, self._measured = self._measured.trouble, self.measured()
        new = {key for key, _ in troubled.items() ^ self._measured.trouble.items()}
        whole = self._whole
        with faults.guard("", "telemetry"):
            self._new = self.telemetry.collect(now_s)
            if self._new is not None:
                self._take(self._new)
        if self._new is not None and not (whole and self._whole):
            return {*records}
        return new | {key for key, record in records.items() if self._says_new(record, now_s)}

    def _take(self, collected: Collected) -> None:
        self._whole = collected.complete
        if collected.complete:
            self._lately.append((collected.at_s, collected.window_s))
            self._take_loads(collected)

    def _says_new(self, record: Record, now_s: float) -> bool:
        key = record.key
        if self._foreign(key) is not None:
            return True
        if self._new is None:
            return False
        seen = (self._new.editions.get(cluster_name(key, name)) for name in record.editions)
        if any(second is not None and second.busy for second in seen):
            self._loaded_s[key] = now_s
        return 0 <= now_s - self._loaded_s.get(key, -IDLE_S) < IDLE_S

    def learn(
        self, records: Mapping[str, Record], due: Collection[str], now_s: float, faults: Faults
    ) -> None:
        """What was collected, about the apps that are ``due``. Without anything new, knowledge only gets older."""
        self._note_births(records.values(), now_s)
        for key in due:
            with faults.guard(key, "learn"):
                self._learn(records[key], now_s)
                self._learned_s[key] = self._lately[-1][0] if self._lately else 0.0
        self.knowledge.forget_others(
            (key, name) for key, record in records.items() for name in record.editions
        )
        for known in (self._learned_s, self._loaded_s, self._foreign_at_s):
            for key in known.keys() - records.keys():
                del known[key]

    def _learn(self, record: Record, now_s: float) -> None:
        app, held, last = record.app, record.held, record.progress
        spec, goal = app.spec, app.goal
        if spec is None or goal is None:
            return
        going = last is not None and not last.phase.final
        for name, raw in held.editions.items():
            self.knowledge.of(app.key, name, raw)
        self.knowledge.judge_since(app.key, held.editions, last.step_s if last and going else None)
        if spec.sla.source is not Source.ROUTER:
            self._learn_foreign(record, record.active or spec.edition, goal, now_s)
            return
        for name in held.editions:
            for observed in self._by_routers(app.key, name):
                self._saw(app.key, name, observed, held.pods_of(name), goal, now_s)

    def _learn_foreign(self, record: Record, serves: str, goal: Goal, now_s: float) -> None:
        """Another proxy knows apps and no editions: what it saw is of all servers together, and is learned of the
        edition that serves. All editions are as well known as the app."""
        key = record.key
        newest = self._foreign(key)
        if newest is None:
            return
        self._foreign_at_s[key] = newest.at_s
        for name in record.editions:
            if name == serves:
                self._saw(key, name, newest, record.pods, goal, now_s)
            else:
                self.knowledge.heard(key, name, newest)

    def _foreign(self, key: str) -> Observed | None:
        """What another proxy saw of the app since the last time."""
        newest = self._measured.foreign.get(key)
        return newest if newest is not None and newest.at_s > self._foreign_at_s.get(key, 0.0) else None

    def _saw(
        self, key: str, name: str, observed: Observed, pods: list[Pod], goal: Goal, now_s: float
    ) -> None:
        cpu = _cpu_cores(pods, self._measured.cpu_cores)
        self.knowledge.saw(key, name, observed, pods, goal, cpu, now_s)

    def started(self, pod: Pod) -> None:
        """The pod was routed for the first time, just now."""
        if pod.uid in self._born_s:
            self.knowledge.started(pod, self.clock() - self._born_s[pod.uid])

    def load(self, pod: Pod, port: int, now_s: float) -> ServerLoad | None:
        """Requests that the pod is busy with on all routers; None when that is not known, or no longer."""
        if pod.address is None or now_s - self._loads_at_s > LOAD_TRUSTED_S:
            return None
        return self._loads.get(Endpoint(address=pod.address, port=port).authority)

    def in_flight(self, records: Iterable[Record], now_s: float) -> dict[str, int]:
        """By pod UID; a pod of which nothing is known is absent."""
        return {
            pod.uid: load.in_flight
            for record in records
            if (spec := record.app.served) is not None
            for pod in record.pods
            if (load := self.load(pod, spec.port, now_s)) is not None
        }

    def _take_loads(self, collected: Collected) -> None:
        self._loads_at_s = collected.at_s
        self._loads = {
            endpoint: ServerLoad(
                at_s=load.at_s,
                in_flight=load.active + load.pending + load.streams,
                streams=load.streams,
                total=load.total,
            )
            for endpoint, load in collected.endpoints.items()
        }

    def _note_births(self, records: Iterable[Record], now_s: float) -> None:
        pods = [pod for record in records for pod in record.pods]
        known = self._born_s
        # creationTimestamp has whole seconds: what we saw ourselves right after is more exact
        self._born_s = {
            p.uid: known.get(p.uid, now_s if now_s - p.created_s < _FRESH_BIRTH_S else p.created_s)
            for p in pods
        }

    def _by_routers(self, key: str, edition: str) -> Iterator[Observed]:
        """What is new, and before it, as one observation, the silence through which the app was not looked at."""
        new = from_routers(self._new, key, edition) if self._new is not None else None
        since_s = self._learned_s.get(key)
        missed = [(at_s, w) for at_s, w in self._lately if since_s is not None and at_s > since_s]
        heard = new is not None and not (new.complete and new.requests == new.in_flight == 0)
        if missed and heard and self._whole:
            missed.pop()  # it is the new one
        if missed:
            yield silent(at_s=missed[-1][0], window_s=sum(window_s for _, window_s in missed))
        if new is not None and (heard or not missed):
            yield new


def _cpu_cores(pods: list[Pod], cpu_cores: Mapping[tuple[str, str], float]) -> float | None:
    """CPU that the serving servers use together; None unless it is known for each of them."""
    serving = [p for p in pods if p.serving]
    known = [u for p in serving if (u := cpu_cores.get((p.namespace, p.name))) is not None]
    return sum(known) if known and len(known) == len(serving) else None
