"""What one server can do, learned from what the routers saw (and from CPU figures, when there are any).

Three ways to know it, the later only while the earlier do not know enough:

* the *station*: while requests queue on every server, completions are the peak, measured directly. Before that has
  happened, the peak is inferred from how far responses rise above those of an idle server;
* the *utilisation law*: CPU seconds per request give the peak of a CPU-bound server long before it is reached;
* the *frontier*: the largest rate seen within the goal, and a quarter more.

Of the first two, the one whose predictions were closer to what came is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import log, sqrt

from millpond_policies.goals import Goal
from millpond_policies.learn.curve import Curve, peak_from
from millpond_policies.learn.seconds import RESOLUTION_MS, Second, completed_rps, goal_ms, mean_ms, since

RAISE = 1.25  # the frontier, at a time
POOL_S, POOL_REQUESTS = 5.0, 20
FALLEN = 0.7  # of the base: a response so short shows that the base was something else
LEAST_SPREAD, MOST_SPREAD = 0.3, 3.0
BETTER = 0.8  # of the station's error, for the law to be used instead
SETTLED_S = 25.0  # CPU figures are a mean of that age: they say something when the load was the same
ENOUGH = 3  # inferred peaks before they are believed
ENOUGH_QUEUED, MOST_QUEUED = (
    20,
    10,
)  # completions before a measured peak is believed; seconds that it is the mean of


class Model(StrEnum):
    STATION = "station"
    UTILISATION = "utilisation"
    FRONTIER = "frontier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A few seconds together: enough requests for a mean that means something."""

    requests: int
    mean_ms: float
    goal_ms: float
    rate_rps: float  # completions a second and server
    queueing: bool  # more in flight at the end than at the beginning, by more than chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A mean, and how far off it was as a prediction."""

    rps: float | None = None
    error: float | None = None

    def with_next(self, seen: float, gain: float) -> "Reading":
        if self.rps is None or gain >= 1:
            return replace(self, rps=seen)
        off = abs(log(max(seen, 0.01) / max(self.rps, 0.01)))
        error = off if self.error is None else self.error + 0.2 * (off - self.error)
        return Reading(rps=self.rps + gain * (seen - self.rps), error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    base_ms: float | None = None  # mean response of an idle server
    tail_ms: float | None = None  # the same at the goal's percentile
    pools: int = 0  # that the base rests on
    peak_rps: float | None = None  # completions a second of a saturated server
    measured: int = 0  # completions of saturated servers that the peak rests on
    inferred: int = 0
    spread: float = 1.0
    frontier_rps: float | None = None
    demand_ms: float | None = None  # CPU time of a request
    wait_ms: float = 0.0  # the rest of its response, on an idle CPU
    cores: float | None = None  # that one server can use
    station_error: float | None = None  # mean |log(predicted ÷ seen)|
    law_error: float | None = None
    queue: Reading = field(default_factory=Reading)  # the two readings of a saturated second
    share: Reading = field(default_factory=Reading)
    queued_servers: int = 0  # servers and completions of all when the peak was last measured
    queued_rps: float = 0.0
    pooled_s: float = 0.0  # these two are not persisted
    uneven_until_s: float = 0.0  # new servers are idle while old ones still have their queues

    @property
    def proven(self) -> bool:
        """The peak was measured, not inferred."""
        return self.measured >= ENOUGH_QUEUED

    # -- what is known ------------------------------------------------------------------------------------------

    def station(self) -> Curve | None:
        if self.base_ms is None or self.peak_rps is None or not (self.proven or self.inferred >= ENOUGH):
            return None
        tail = self.tail_ms or self.base_ms
        slots = max(1.0, self.peak_rps * self.base_ms / 1000)
        return Curve(
            base_ms=self.base_ms, tail_ms=tail, peak_rps=self.peak_rps, slots=slots, spread=self.spread
        )

    def law(self) -> Curve | None:
        if self.demand_ms is None or self.cores is None or self.base_ms is None:
            return None
        base = self.demand_ms + self.wait_ms
        tail = base * (self.tail_ms or self.base_ms) / self.base_ms
        return Curve(
            base_ms=base,
            tail_ms=tail,
            peak_rps=1000 * self.cores / self.demand_ms,
            slots=max(1.0, self.cores),
        )

    def curve(self) -> tuple[Curve, Model] | None:
        """The model that predicts better."""
        station, law = self.station(), self.law()
        better = self.law_error is not None and self.law_error < BETTER * (self.station_error or 0.0)
        if law and (station is None or better):
            return law, Model.UTILISATION
        return (station, Model.STATION) if station else None

    def rate_within(self, goal: Goal) -> tuple[float, Model] | None:
        """The rate that one server sustains within the goal, and who says so. None: nothing is known."""
        known = self.curve()
        claimed = None if self.frontier_rps is None else self.frontier_rps * RAISE
        if known is None:
            return None if claimed is None else (claimed, Model.FRONTIER)
        curve, model = known
        rate = curve.rate_within(goal)
        if model is Model.UTILISATION and claimed is not None and rate > claimed and not self.proven:
            return claimed, Model.FRONTIER  # threads that wait use no CPU: only what was seen counts
        if model is Model.STATION and not self.proven and self.frontier_rps is not None:
            rate = max(rate, self.frontier_rps / RAISE)  # seen in a few lucky seconds, perhaps
        return rate, model

    # -- learning -----------------------------------------------------------------------------------------------

    def observe(
        self,
        seconds: Sequence[Second],
        goal: Goal,
        cpu_cores: float | None = None,
        cores: float | None = None,
    ) -> "Capacity":
        """Take in the newest of ``seconds``. ``cpu_cores`` are used by all servers, ``cores`` can be used by one."""
        newest = seconds[-1]
        after = self._evened(seconds) if len(seconds) > 1 else self
        if not newest.usable:
            return after
        after = after._queued(seconds, cpu_cores)._frontier(seconds, goal)
        pool = _pool(seconds, after.pooled_s, goal, first=after.base_ms is None)
        if pool is None:
            return after
        judged = (
            after._judged(pool, goal)
            ._based(pool, seconds)
            ._shaped(pool)
            ._used(pool, seconds, cpu_cores, cores)
        )
        return replace(judged, pooled_s=newest.at_s)

    def saturated(self, seconds: Sequence[Second]) -> bool:
        """Requests queued on the servers from the beginning of the newest second to its end."""
        if self.base_ms is None or len(seconds) < 2:
            return False
        before, newest = seconds[-2], seconds[-1]
        if not newest.serving:
            return False
        busy = newest.requests / newest.window_s * self.base_ms / 1000
        return min(before.in_flight, newest.in_flight) > 2 * busy + 2 * newest.serving

    def _queued(self, seconds: Sequence[Second], cpu_cores: float | None) -> "Capacity":
        """While requests queue everywhere, completions are the peak.

        Two readings compete. In a queue, those that wait are untouched: completions say it all. Where all share a CPU,
        each newcomer takes work before it completes: on average, half of its work is done while it is in flight.
        """
        newest = seconds[-1]
        if newest.at_s < self.uneven_until_s or not newest.requests or not self.saturated(seconds):
            return self  # no completion at all says that they hang, not what they can do
        total = newest.requests / newest.window_s
        seen = total / newest.serving
        if self._elsewhere(seen, newest.serving, total):
            return self
        growth = (newest.in_flight - seconds[-2].in_flight) / newest.window_s / newest.serving
        measured = self.measured + newest.requests
        gain = max(1 / MOST_QUEUED, newest.requests / max(1, measured))
        queue = self.queue.with_next(seen, gain)
        share = self.share.with_next(max(seen / 2, seen + growth / 2), gain)
        chance = max(0.1, 1 / sqrt(max(1.0, total)))
        shared = share.error is not None and share.error < 0.7 * (queue.error or 0.0) > 0.7 * chance
        peak = share.rps if shared else queue.rps
        cores = self.cores if cpu_cores is None else max(self.cores or 0.0, cpu_cores / newest.serving)
        return replace(
            self,
            peak_rps=peak if measured >= ENOUGH_QUEUED else self.peak_rps,
            measured=min(measured, 100_000),
            queue=queue,
            share=share,
            cores=cores,
            queued_servers=newest.serving,
            queued_rps=total,
        )

    def _evened(self, seconds: Sequence[Second]) -> "Capacity":
        """When servers join, the queues of the others stay where they are: measure when they are worked off."""
        before, newest = seconds[-2:]
        if newest.serving <= before.serving or not before.serving or before.in_flight <= 2 * before.serving:
            return self
        rate = (self.peak_rps or self.frontier_rps or 1.0) * before.serving
        clear_s = min(60.0, 1.5 * newest.in_flight / rate + 3.0)
        return replace(self, uneven_until_s=newest.at_s + clear_s)

    def _elsewhere(self, seen: float, servers: int, total: float) -> bool:
        """More servers, no more completions: the queue is not the servers' but behind them."""
        if not self.proven or self.peak_rps is None or seen > 0.85 * self.peak_rps:
            return False
        if not 0 < self.queued_servers < servers:
            return False
        return total < self.queued_rps * (1 + 0.4 * (servers / self.queued_servers - 1))

    def _frontier(self, seconds: Sequence[Second], goal: Goal) -> "Capacity":
        last = [s for s in seconds[-3:] if s.usable]
        seen = goal_ms(goal, last)
        if seen is None or (goal.target_ms is not None and seen > goal.target_ms) or self.saturated(seconds):
            return self
        rate = sum(s.requests for s in last) / sum(s.window_s for s in last) / seconds[-1].serving
        return self if rate <= (self.frontier_rps or 0.0) else replace(self, frontier_rps=rate)

    def _judged(self, pool: Batch, goal: Goal) -> "Capacity":
        """How well did each model predict this pool, before it learns from it?"""
        return replace(
            self,
            station_error=_error(self.station_error, self.station(), pool, goal),
            law_error=_error(self.law_error, self.law(), pool, goal),
        )

    def _based(self, pool: Batch, seconds: Sequence[Second]) -> "Capacity":
        """The response of an idle server: falls fast, rises slowly and only under little load."""
        if self.base_ms is None:
            means = [mean_ms((s,)) for s in seconds[-5:] if s.requests >= 5]
            base = min([pool.mean_ms, *(m for m in means if m is not None)])
            return replace(self, base_ms=base, tail_ms=max(base, pool.goal_ms * base / pool.mean_ms))
        if self.saturated(seconds) or pool.queueing:
            return self
        top = self.peak_rps or self.frontier_rps or 0.0
        rising = 0.05 if pool.rate_rps < top / 2 else 0.005
        falling = max(1 / (self.pools + 1), 0.1)
        base = _toward(self.base_ms, pool.mean_ms, falling, rising)
        tail = _toward(self.tail_ms or base, max(pool.goal_ms, base), falling, rising)
        pools = 1 if pool.mean_ms < FALLEN * self.base_ms else min(self.pools + 1, 20)
        return replace(self, base_ms=base, tail_ms=tail, pools=pools)

    def _shaped(self, pool: Batch) -> "Capacity":
        """What the rise of the response over the base says about peak and spread."""
        if self.base_ms is None or pool.queueing or pool.requests < POOL_REQUESTS:
            return self
        wait_ms = pool.mean_ms - self.base_ms
        if self.proven:
            return self._spread(pool, wait_ms)
        least_ms = max(RESOLUTION_MS, max(0.25, 2 / sqrt(pool.requests)) * self.base_ms)
        if wait_ms < least_ms or pool.rate_rps <= 0:
            return self
        n = min(self.inferred + 1, 5)
        seen = peak_from(self.base_ms, pool.rate_rps, pool.mean_ms)
        peak = seen if self.peak_rps is None else self.peak_rps + (seen - self.peak_rps) / n
        return replace(self, peak_rps=peak, inferred=n)

    def _spread(self, pool: Batch, wait_ms: float) -> "Capacity":
        """With the peak known, waits tell the spread; far too short ones, that the peak was read too low."""
        peak = max(self.peak_rps or 0.0, pool.rate_rps)
        after = replace(self, peak_rps=peak)
        curve = replace(after, spread=1.0).station()
        if curve is None or not 0.2 * peak < pool.rate_rps < 0.95 * peak:
            return after
        plain = curve.mean_wait_ms(pool.rate_rps)
        if plain < 0.1 * curve.base_ms:
            return after
        undecided = (self.queue.error or 0.0) > 0.5 * (self.share.error or 0.0)
        if undecided and wait_ms < 0.1 * plain > 0.05 * curve.base_ms and (self.share.rps or 0.0) > peak:
            return replace(after, peak_rps=peak + 0.1 * ((self.share.rps or 0.0) - peak))
        spread = min(MOST_SPREAD, max(LEAST_SPREAD, wait_ms / plain))
        return replace(after, spread=self.spread + 0.05 * (spread - self.spread))

    def _used(
        self, pool: Batch, seconds: Sequence[Second], cpu_cores: float | None, cores: float | None
    ) -> "Capacity":
        """The utilisation law: CPU used ÷ completions."""
        after = self if cores is None else replace(self, cores=cores)
        if cpu_cores is None or pool.requests < 5 or after.base_ms is None:
            return after
        newest = seconds[-1]
        lately = completed_rps(since(seconds, newest.at_s - SETTLED_S)) / newest.serving
        if not 0.8 * pool.rate_rps < lately < 1.25 * pool.rate_rps:
            return after
        used = cpu_cores / newest.serving
        seen = 1000 * used / pool.rate_rps
        if after.cores is not None and used > 0.97 * after.cores:
            return after
        demand = seen if after.demand_ms is None else after.demand_ms + 0.1 * (seen - after.demand_ms)
        after = replace(after, demand_ms=demand)
        if after.cores is None or pool.queueing or used > 0.9 * after.cores:
            return after
        law = Curve(
            base_ms=demand, tail_ms=demand, peak_rps=1000 * after.cores / demand, slots=max(1.0, after.cores)
        )
        wait = max(0.0, pool.mean_ms - demand - law.mean_wait_ms(pool.rate_rps))
        gain = 1.0 if self.demand_ms is None else 0.1
        return replace(after, wait_ms=after.wait_ms + gain * (wait - after.wait_ms))


def _pool(seconds: Sequence[Second], pooled_s: float, goal: Goal, *, first: bool) -> Batch | None:
    """The usable seconds since the last pool, once they are enough."""
    newest = seconds[-1]
    run = [
        s
        for s in since(seconds, max(pooled_s, newest.at_s - 2 * POOL_S))
        if s.usable and s.serving == newest.serving
    ]
    length = sum(s.window_s for s in run)
    requests = sum(s.requests for s in run)
    enough = requests >= POOL_REQUESTS and length >= (2.0 if first else POOL_S)
    if not enough and not (length >= 2 * POOL_S - 0.5 and requests >= 5):
        return None
    mean, at_goal = mean_ms(run), goal_ms(goal, run)
    if mean is None or at_goal is None:
        return None
    rate = requests / length / newest.serving
    growth = newest.in_flight - run[0].in_flight
    queueing = growth > 3 * sqrt(max(1.0, requests / length)) + newest.serving
    return Batch(requests=requests, mean_ms=mean, goal_ms=at_goal, rate_rps=rate, queueing=queueing)


def _toward(now: float, seen: float, falling: float, rising: float) -> float:
    if seen < FALLEN * now:
        return seen
    return now + (falling if seen < now else rising) * (seen - now)


def _error(before: float | None, curve: Curve | None, pool: Batch, goal: Goal) -> float | None:
    if curve is None:
        return before
    most = 4 * max(goal.target_ms or 0.0, curve.base_ms)
    predicted = min(most, curve.response_ms(goal, pool.rate_rps))
    off = abs(log(predicted / max(0.1, min(most, pool.goal_ms))))
    return off if before is None else before + 0.1 * (off - before)
