"""What is known of each edition: learned capacity, recent response times, and how fresh they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millpond.control.observe.objects import Pod
from millpond.kube.raw import fields
from millpond.router.config import cluster_name
from millpond.router.telemetry.collector import Collected
from millpond_policies.learn.learning import Memory, Sample, learn, learn_start
from millpond_policies.learn.sample import possible, sound
from millpond_policies.world.model import Freshness, Goal
from millpond_policies.world.release import Evidence

STALE_AFTER_S = 5.0  # routers report every second; five missed reports are no hiccup
STALE_WINDOWS = 2.5  # who reports more seldom may miss one report


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One observation of an edition, whoever measured it (routers, or a foreign proxy by way of Prometheus)."""

    at_s: float
    window_s: float
    requests: int
    errors: int
    sum_ms: float
    histogram: tuple[int, ...]
    in_flight: int
    complete: bool


@dataclass(slots=True)
class EditionKnowledge:
    memory: Memory
    written: Memory  # as the Edition's status has it
    last_s: float | None = None  # the newest observation
    last_complete_s: float | None = None
    window_s: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)
    evidence_since_s: float | None = None

    def heard(self, observed: Observed) -> None:
        self.last_s = observed.at_s
        if observed.complete:
            self.last_complete_s, self.window_s = observed.at_s, observed.window_s

    def freshness(self, now_s: float) -> Freshness:
        """FRESH only while complete observations keep coming."""
        if self.last_s is None:
            return Freshness.MISSING
        patience_s = max(STALE_AFTER_S, STALE_WINDOWS * self.window_s)
        if now_s - self.last_s > patience_s:
            return Freshness.STALE
        if self.last_complete_s is None or now_s - self.last_complete_s > patience_s:
            return Freshness.PARTIAL
        return Freshness.FRESH


@dataclass(slots=True)
class Knowledge:
    """Memories by (app key, edition). Loaded from Edition status, so a restarted operator forgets nothing."""

    since_s: float = 0.0  # when this operator began to look
    _known: dict[tuple[str, str], EditionKnowledge] = field(default_factory=dict)

    def judge_since(self, app: str, editions: Iterable[str], since_s: float | None) -> None:
        """A rollout's step began then: what is seen of its editions is collected anew. Kept in memory only."""
        for edition in editions:
            known = self.of(app, edition)
            if known.evidence_since_s != since_s:
                known.evidence_since_s, known.evidence = since_s, Evidence()

    def of(self, app: str, edition: str, raw: Mapping[str, Any] | None = None) -> EditionKnowledge:
        key = (app, edition)
        if key not in self._known:
            memory = Memory.from_dict(_learned(raw))
            self._known[key] = EditionKnowledge(memory=memory, written=memory)
        return self._known[key]

    def forget_others(self, alive: Iterable[tuple[str, str]]) -> None:
        keep = set(alive)
        self._known = {k: v for k, v in self._known.items() if k in keep}

    def saw(
        self,
        app: str,
        edition: str,
        observed: Observed,
        pods: Iterable[Pod],
        goal: Goal,
        cpu_cores: float | None,
        now_s: float,
    ) -> None:
        """Learn from one observation. Incomplete ones are remembered as such and teach nothing.

        One that cannot be true was not seen: what is known only gets older.
        """
        known = self.of(app, edition)
        live = [p for p in pods if not (p.retiring or p.finished)]
        serving = [p for p in live if p.serving]
        warm_up_s = known.memory.warm_up_s
        sample = Sample(
            at_s=observed.at_s,
            window_s=observed.window_s,
            requests=observed.requests,
            errors=observed.errors,
            sum_ms=observed.sum_ms,
            histogram=observed.histogram,
            in_flight=observed.in_flight,
            serving=len(serving),
            young=sum(now_s - (p.gate_since_s or 0.0) < warm_up_s for p in serving),
            starting=len(live) - len(serving),
            cpu_cores=cpu_cores,
            complete=observed.complete,
        )
        if not sound(sample):
            return
        known.heard(observed)
        known.memory = learn(known.memory, sample, goal)
        if known.evidence_since_s is not None and observed.complete:
            known.evidence = known.evidence.plus(
                observed.requests,
                observed.errors,
                observed.sum_ms,
                observed.histogram,
                young=10 * sample.young > sample.serving,
            )

    def heard(self, app: str, edition: str, observed: Observed) -> None:
        """Of the app something was observed that says nothing of this edition alone."""
        if possible(observed.at_s, observed.window_s, 0, 0, 0.0):
            self.of(app, edition).heard(observed)

    def started(self, pod: Pod, seconds: float) -> None:
        """A server of this edition took so long from its creation until it was routed."""
        known = self.of(pod.app, pod.edition)
        known.memory = learn_start(known.memory, seconds)


def _learned(raw: Mapping[str, Any] | None) -> object:
    """What the Edition's status says, whatever somebody made of it."""
    return fields((raw or {}).get("status")).get("learned")


def silent(at_s: float, window_s: float) -> Observed:
    """All routers reported all the time, and nobody asked for anything."""
    return Observed(
        at_s=at_s,
        window_s=window_s,
        requests=0,
        errors=0,
        sum_ms=0.0,
        histogram=(),
        in_flight=0,
        complete=True,
    )


def from_routers(collected: Collected, app: str, edition: str) -> Observed:
    """What the routers saw of an edition. Not mentioned in a complete collection is a true zero.

    Only requests that a server answered count: the others (no server, no connection) took no time that says anything.
    """
    second = collected.editions.get(cluster_name(app, edition))
    answered = sum(second.histogram) if second else 0
    return Observed(
        at_s=collected.at_s,
        window_s=collected.window_s,
        requests=answered,
        errors=min(second.errors, answered) if second else 0,
        sum_ms=second.sum_ms if second else 0.0,
        histogram=second.histogram if second else (),
        in_flight=second.in_flight if second else 0,
        complete=collected.complete and not (second and second.unknown),
    )
