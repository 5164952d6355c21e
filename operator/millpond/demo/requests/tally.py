"""Counts of requests by outcome and second: what the load generator writes and the demo reads."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    OK = "ok"
    HTTP_ERROR = "http_error"  # an answer with status 400 or more
    REFUSED = "refused"  # no connection, or it broke
    TIMEOUT = "timeout"
    UNSENT = "unsent"  # the generator's own bound on open requests was reached


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Nearest rank; None without values.

    >>> percentile([1, 2, 3, 4], 50)
    2
    """
    ordered = sorted(values)
    rank = max(0, -(-len(ordered) * percent // 100) - 1)
    return ordered[int(rank)] if ordered else None


@dataclass(slots=True)
class _Second:
    sent: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSecond:
    """Second `t_s` of the load: what was due in it, and what was answered in it (sent earlier, perhaps)."""

    t_s: int
    sent: int
    ok: int
    failed: int
    mean_ms: float | None
    """Of the answers with status < 400, from when the request was due; None when there were none."""
    p95_ms: float | None
    open: int
    """Sent and not answered at the end of the second."""


class Tally:
    """One load's counts by whole seconds since its start; what comes late counts in the next open one."""

    def __init__(self) -> None:
        self._seconds: defaultdict[int, _Second] = defaultdict(_Second)
        self._next_s = 0
        self.sent = 0
        self.outcomes: Counter[Outcome] = Counter()

    def send(self, due_s: float) -> None:
        self.sent += 1
        self._at(due_s).sent += 1

    def answer(self, due_s: float, now_s: float, outcome: Outcome) -> None:
        second = self._at(now_s)
        self.outcomes[outcome] += 1
        second.outcomes[outcome] += 1
        if outcome is Outcome.OK:
            second.latencies_ms.append((now_s - due_s) * 1000)

    def _at(self, at_s: float) -> _Second:
        return self._seconds[max(int(at_s), self._next_s)]

    @property
    def open(self) -> int:
        return self.sent - self.outcomes.total()

    def close(self, t_s: int) -> LoadSecond:
        """Takes the finished second out; to be called right after its end."""
        second = self._seconds.pop(t_s, _Second())
        self._next_s = t_s + 1
        latencies, ok = second.latencies_ms, second.outcomes[Outcome.OK]
        p95_ms = percentile(latencies, 95)
        return LoadSecond(
            t_s=t_s,
            sent=second.sent,
            ok=ok,
            failed=second.outcomes.total() - ok,
            mean_ms=round(sum(latencies) / len(latencies), 1) if latencies else None,
            p95_ms=None if p95_ms is None else round(p95_ms, 1),
            open=self.open,
        )

    def totals(self) -> "Totals":
        return Totals(sent=self.sent, outcomes={o: self.outcomes[o] for o in Outcome})


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    sent: int
    outcomes: Mapping[Outcome, int]

    @property
    def ok(self) -> int:
        return self.outcomes.get(Outcome.OK, 0)

    @property
    def failed(self) -> int:
        """Every request that did not get a good answer; one that is still open has none."""
        return self.sent - self.ok

    def to_json(self) -> str:
        return json.dumps({"sent": self.sent, **{o: self.outcomes.get(o, 0) for o in Outcome}})

    @classmethod
    def from_dict(cls, counts: Mapping[str, int]) -> "Totals":
        return cls(sent=counts["sent"], outcomes={o: counts[o] for o in Outcome})
