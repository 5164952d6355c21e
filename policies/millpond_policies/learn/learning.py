"""What an edition's servers can do, learned from what the routers saw.

The operator hands ``learn`` one sample of each edition about once a second, and keeps the ``Memory`` that comes back;
``Memory.to_dict`` is what is worth writing down, so that a restart forgets nothing but the last minutes.
"""

from dataclasses import dataclass, field, replace
from math import sqrt

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.capacity import Capacity
from millpond_policies.learn.doubt import Doubt
from millpond_policies.learn.load import Load
from millpond_policies.learn.persistence import LONGEST_START_S, differs, restored, written
from millpond_policies.learn.sample import Sample as Sample
from millpond_policies.learn.sample import sound, with_cpu
from millpond_policies.learn.seconds import GAP_S, KEPT, Second, goal_ms, since, sparse

START_S = 10.0  # before one start was seen
REACTION_S = 2.0  # from a request to the order it causes
MOST_YOUNG = 0.1  # of the servers that serve, for a sample to say what a server can do
REGRET_S = 1800.0  # a server needed again within it was given back too early
SAME_LOAD = 1.1  # times as much is still the same
FORGIVEN_S = 3600.0  # a regret loses two thirds of its weight in this time
MORE_PATIENT, MOST_PATIENT = 4.0, 30.0
MOST_ERRORS = 0.05  # of the requests: errors are often faster than answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Learned so far, of one edition. Immutable: ``learn`` answers with the next one."""

    start_s: float | None = None  # from creation to serving
    starts: int = 0
    capacity: Capacity = field(default_factory=Capacity)
    load: Load = field(default_factory=Load)
    doubt: Doubt = field(default_factory=Doubt)
    patience: float = 1.0  # grows with every server given back and needed again under the same load
    shrunk: tuple[float, float] | None = None  # when fewer servers served, last, and the load then expected
    backlogged: int = 0  # seconds in a row with more in flight than the load explains
    fresh_since_s: float | None = None  # complete samples without a gap since then
    recent: tuple[Second, ...] = field(default=(), repr=False)

    @property
    def warm_up_s(self) -> float:
        """A server that serves for less is young: what it does says nothing about what it can do."""
        return min(30.0, max(1.0, self._start_s / 2))

    @property
    def horizon_s(self) -> float:
        """When a server that is ordered now does its full work."""
        return 1.1 * self._start_s + self.warm_up_s / 2 + REACTION_S

    @property
    def span_s(self) -> float:
        """How far back a level of the load is averaged."""
        return min(120.0, max(30.0, 4 * self.horizon_s))

    @property
    def shrink_window_s(self) -> float:
        """For so long a server must have been unneeded, on fresh metrics throughout; longer after regrets."""
        return min(600.0, self.patience * max(20.0, 3 * self.horizon_s))

    @property
    def at_s(self) -> float | None:
        """When the newest sample was taken."""
        return self.recent[-1].at_s if self.recent else None

    @property
    def _start_s(self) -> float:
        return START_S if self.start_s is None else self.start_s

    def response_ms(self, goal: Goal, now_s: float, window_s: float) -> float | None:
        """The goal's response time over the last ``window_s`` seconds (at most two minutes); None without requests."""
        return goal_ms(goal, since(self.recent, now_s - window_s))

    def rate_rps(self, now_s: float, window_s: float) -> float | None:
        """Arrivals a second over the last ``window_s`` seconds; None without samples."""
        last = since(self.recent, now_s - window_s)
        length = sum(s.window_s for s in last)
        return sum(s.arrivals_rps * s.window_s for s in last) / length if length else None

    def window_full(self, now_s: float) -> bool:
        """Whether fresh, complete samples cover the shrink window up to now."""
        if self.fresh_since_s is None or not self.recent:
            return False
        newest = self.recent[-1]
        if now_s - newest.at_s > GAP_S + 1.5 * newest.window_s:
            return False
        return now_s - self.fresh_since_s >= self.shrink_window_s

    def moved(self, other: "Memory") -> bool:
        """Whether a learned value differs by more than 5 %, so that it is worth writing."""
        return differs(self.to_dict(), other.to_dict())

    def to_dict(self) -> dict[str, float]:
        """What is worth keeping over a restart, as JSON numbers."""
        return written({"memory": self, "capacity": self.capacity, "load": self.load, "doubt": self.doubt})

    @staticmethod
    def from_dict(learned: object) -> "Memory":
        """The reverse of ``to_dict``. Unknown keys and values that cannot be are left out, never an error."""
        parts = restored(learned)
        return Memory(
            capacity=Capacity(**parts["capacity"]),
            load=Load(**parts["load"]),
            doubt=Doubt(**parts["doubt"]),
            **parts["memory"],
        )


def learn(memory: Memory, sample: Sample, goal: Goal) -> Memory:
    """Take in one sample. An incomplete one says only "at least".

    One that is not newer than the last, or that cannot be true, is ignored.
    """
    if not sound(sample) or (memory.recent and sample.at_s <= memory.recent[-1].at_s):
        return memory
    sample = with_cpu(sample)
    second = _second(memory, sample, goal)
    if not sample.complete and second.arrivals_rps <= (memory.load.expected_rps or 0.0):
        return replace(memory, fresh_since_s=None, backlogged=0)
    seconds = (*memory.recent[-KEPT + 1 :], second)
    load = memory.load.observe(
        seconds, span_s=memory.span_s, horizon_s=memory.horizon_s, window_s=memory.shrink_window_s
    )
    capacity = memory.capacity.observe(seconds, goal, sample.cpu_cores, sample.cores_per_server)
    patience, shrunk = _patience(memory, load, seconds)
    return replace(
        memory,
        patience=patience,
        shrunk=shrunk,
        capacity=capacity,
        load=load,
        doubt=memory.doubt.observe(seconds, goal, settle_s=max(5.0, memory.horizon_s)),
        backlogged=memory.backlogged + 1 if _unexplained(capacity, goal, seconds) else 0,
        fresh_since_s=_fresh_since(memory, sample),
        recent=(*seconds[:-1], second._replace(expected_rps=load.expected_rps or 0.0)),
    )


def learn_start(memory: Memory, seconds: float) -> Memory:
    """A server took ``seconds`` from its creation until it served."""
    if not 0 <= seconds <= LONGEST_START_S:
        return memory
    if memory.start_s is None:
        return replace(memory, start_s=seconds, starts=1)
    gain = max(1 / (memory.starts + 1), 0.2)
    return replace(
        memory, start_s=memory.start_s + gain * (seconds - memory.start_s), starts=min(memory.starts + 1, 5)
    )


def _second(memory: Memory, sample: Sample, goal: Goal) -> Second:
    last = memory.recent[-1] if memory.recent else None
    follows = last is not None and sample.at_s - last.at_s <= 2.5 * sample.window_s
    growth = sample.in_flight - last.in_flight if last is not None and follows else 0
    usable = (
        sample.complete
        and follows
        and last is not None
        and 0 < sample.serving == last.serving
        and sample.young <= MOST_YOUNG * sample.serving
        and sample.errors <= MOST_ERRORS * sample.requests
    )
    return Second(
        at_s=sample.at_s,
        window_s=sample.window_s,
        arrivals_rps=max(0.0, (sample.requests + growth) / sample.window_s),
        requests=sample.requests,
        errors=sample.errors,
        sum_ms=sample.sum_ms,
        histogram=sparse(sample.histogram) if goal.kind is GoalKind.PERCENTILE else (),
        in_flight=sample.in_flight,
        serving=sample.serving,
        usable=usable,
        expected_rps=0.0,
    )


def _patience(
    memory: Memory, load: Load, seconds: tuple[Second, ...]
) -> tuple[float, tuple[float, float] | None]:
    """Servers that are needed again, although no more load came, were given back too early."""
    newest, before = seconds[-1], seconds[-2] if len(seconds) > 1 else seconds[-1]
    patience = 1 + (memory.patience - 1) * (1 - min(1.0, newest.window_s / FORGIVEN_S))
    if newest.serving < before.serving:
        return patience, (newest.at_s, load.level_rps or 0.0)
    if newest.serving == before.serving or memory.shrunk is None:
        return patience, memory.shrunk
    at_s, rate = memory.shrunk
    regret = newest.at_s - at_s < REGRET_S and (load.level_rps or 0.0) <= SAME_LOAD * rate
    return (min(MOST_PATIENT, MORE_PATIENT * patience) if regret else patience), None


def _fresh_since(memory: Memory, sample: Sample) -> float | None:
    if not sample.complete:
        return None
    gap = memory.at_s is None or sample.at_s - memory.at_s > GAP_S + 1.5 * sample.window_s
    return sample.at_s - sample.window_s if gap or memory.fresh_since_s is None else memory.fresh_since_s


def _unexplained(capacity: Capacity, goal: Goal, seconds: tuple[Second, ...]) -> bool:
    """More is in flight than the load explains, by three times what chance explains."""
    known, newest = capacity.curve(), seconds[-1]
    if known is None or not newest.serving:
        return capacity.saturated(seconds)
    curve, _ = known
    rate = min(newest.arrivals_rps / newest.serving, curve.rate_within(goal))
    explained = newest.serving * rate * (curve.base_ms + curve.mean_wait_ms(rate)) / 1000
    return newest.in_flight > explained + 3 * sqrt(max(1.0, explained, newest.serving))
