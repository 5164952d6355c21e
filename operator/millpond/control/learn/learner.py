"""From telemetry to knowledge, once per observation: what editions can do, and what each server is busy with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.api.kinds.sla import Source
from millpond.clock import Clock
from millpond.control.guard.faults import Faults
from millpond.control.learn.knowledge import Knowledge, Observed, from_routers
from millpond.control.observe.objects import Pod
from millpond.control.resolve.record import Record
from millpond.router.config import Endpoint
from millpond.router.telemetry.collector import Collected, Telemetry

LOAD_TRUSTED_S = 3.0  # an in-flight figure older than this is unknown
_FRESH_BIRTH_S = 2.0


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

    def __post_init__(self) -> None:
        self.knowledge.since_s = self.clock()

    def learn(
        self,
        records: Mapping[str, Record],
        now_s: float,
        faults: Faults | None = None,
    ) -> None:
        """Take in what came since the last time. Without anything new, knowledge only gets older."""
        faults = faults or Faults()
        collected = None
        with faults.guard("", "telemetry"):
            collected = self.telemetry.collect(now_s)
            if collected is not None and collected.complete:
                self._take_loads(collected)
        measured = self.measured()
        self._note_births(records.values(), now_s)
        for key, record in records.items():
            try:
                self._learn(record, collected, measured, now_s)
            except Exception as error:
                faults.failed(key, "learn", error)
        self.knowledge.forget_others(
            (key, name) for key, record in records.items() for name in record.editions
        )

    def _learn(
        self,
        record: Record,
        collected: Collected | None,
        measured: Measured,
        now_s: float,
    ) -> None:
        app, held, last = record.app, record.held, record.progress
        spec, goal = app.spec, app.goal
        if spec is None or goal is None:
            return
        going = last is not None and not last.phase.final
        for name, raw in held.editions.items():
            self.knowledge.of(app.key, name, raw)
        self.knowledge.judge_since(app.key, held.editions, last.step_s if last and going else None)
        for name in held.editions:
            observed = self._observed(app.key, spec, name, collected, measured)
            if observed is not None:
                pods = held.pods_of(name)
                cpu = _cpu_cores(pods, measured.cpu_cores)
                self.knowledge.saw(app.key, name, observed, pods, goal, cpu, now_s)

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

    def _observed(
        self,
        key: str,
        spec: ElasticAppSpec,
        edition: str,
        collected: Collected | None,
        measured: Measured,
    ) -> Observed | None:
        if spec.sla.source is Source.ROUTER:
            return from_routers(collected, key, edition) if collected is not None else None
        newest = measured.foreign.get(key)
        if edition != spec.edition or newest is None:
            return None
        if newest.at_s <= self._foreign_at_s.get(key, 0.0):
            return None
        self._foreign_at_s[key] = newest.at_s
        return newest


def _cpu_cores(pods: list[Pod], cpu_cores: Mapping[tuple[str, str], float]) -> float | None:
    """CPU that the serving servers use together; None unless it is known for each of them."""
    serving = [p for p in pods if p.serving]
    known = [u for p in serving if (u := cpu_cores.get((p.namespace, p.name))) is not None]
    return sum(known) if known and len(known) == len(serving) else None
