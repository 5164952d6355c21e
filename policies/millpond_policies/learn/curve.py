"""How the response time of one server rises with its load.

One curve serves both kinds of servers, because both are a queue in front of something limited:

* *threads that wait* (K slots, no CPU): flat until close to saturation, the flatter the more slots;
* *CPU that is shared*: ``wait + demand / (1 - utilisation)``, the curve of one slot per core.

With ``peak`` the rate at which the server saturates, ``u = rate / peak``, and the chance to find all slots taken
``full = u ** (sqrt(2 (slots + 1)) - 1)`` (Sakasegawa's approximation):

    mean       = base + spread * full / (peak - rate)
    percentile = tail + spread * ln(full / (1 - p)) / (peak - rate)        where full > 1 - p

``spread`` is 1 for Poisson arrivals and exponential service, one half when service always takes the same time.
"""

from dataclasses import dataclass
from math import log, pow, sqrt

from millpond_policies.goals import Goal, GoalKind

MOST_USED = 0.92  # of the peak: closer to it, a small error of the forecast costs seconds
LEAST_USED = 0.25  # below it the goal is nearly the bare service time, and more servers hardly help
HOPELESS, HOPELESS_USED = 0.3, 0.8  # a goal missed by this, whatever the load: servers are filled to this
_STEPS = 18  # of a bisection: 4 millionths of the range


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    base_ms: float  # mean response of a request that finds the server idle
    tail_ms: float  # the same at the goal's percentile
    peak_rps: float  # completions a second when saturated
    slots: float  # requests that are worked on side by side
    spread: float = 1.0

    def response_ms(self, goal: Goal, rate_rps: float) -> float:
        """The goal's response time at ``rate_rps`` on one server; infinite at the peak and above."""
        if rate_rps >= self.peak_rps:
            return float("inf")
        full = pow(rate_rps / self.peak_rps, self._exponent)
        delay_ms = 1000 * self.spread / (self.peak_rps - rate_rps)
        if goal.kind is GoalKind.PERCENTILE and goal.percentile is not None:
            missed = 1 - goal.percentile / 100
            return self.tail_ms + (delay_ms * log(full / missed) if full > missed else 0.0)
        return self.base_ms + delay_ms * full

    def mean_wait_ms(self, rate_rps: float) -> float:
        """The mean wait for a slot at ``rate_rps``; infinite at the peak and above."""
        if rate_rps >= self.peak_rps:
            return float("inf")
        full = pow(rate_rps / self.peak_rps, self._exponent)
        return 1000 * self.spread * full / (self.peak_rps - rate_rps)

    def rate_within(self, goal: Goal) -> float:
        """The rate that one server sustains within the goal, kept between 25 % and 92 % of its peak.

        4 slots of 100 ms: peak 40/s. Average within 300 ms: at 36/s a request waits 200 ms for a slot.
        A goal that is missed even at 25 % is not chased: the further it is missed, the fuller the servers may be.
        """
        high, low = self.peak_rps * MOST_USED, self.peak_rps * LEAST_USED
        if goal.target_ms is None or self.response_ms(goal, high) <= goal.target_ms:
            return high
        missed = self.response_ms(goal, low) / goal.target_ms - 1
        if missed > 0:
            return low + (self.peak_rps * HOPELESS_USED - low) * min(1.0, missed / HOPELESS)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if self.response_ms(goal, middle) <= goal.target_ms:
                low = middle
            else:
                high = middle
        return low

    def attainable(self, goal: Goal) -> bool:
        """Whether more servers can meet the goal at all."""
        return goal.target_ms is None or self.response_ms(goal, self.peak_rps * LEAST_USED) <= goal.target_ms

    @property
    def _exponent(self) -> float:
        return sqrt(2 * (self.slots + 1)) - 1


def peak_from(base_ms: float, rate_rps: float, mean_ms: float) -> float:
    """The peak of a server that answers in ``mean_ms`` at ``rate_rps``, and in ``base_ms`` when it is idle.

    The slots follow from it (peak x base). ``mean_ms`` must be above ``base_ms``.
    """
    low, high = rate_rps, rate_rps + 1000 / (mean_ms - base_ms)
    for _ in range(_STEPS):
        peak = (low + high) / 2
        full = pow(rate_rps / peak, sqrt(2 * (peak * base_ms / 1000 + 1)) - 1)
        if 1000 * full > (mean_ms - base_ms) * (peak - rate_rps):
            low = peak
        else:
            high = peak
    return high
