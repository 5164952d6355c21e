"""The last minutes of one edition, second by second: kept in memory only, never written."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.histogram import BOUNDS_MS, percentile_ms

KEPT = 128  # seconds; response_ms() can look back no further
GAP_S = 5.0  # a longer silence between two samples breaks the window
RESOLUTION_MS = 1.0  # routers count whole milliseconds, rounded down: a smaller difference is none
LEAST_MS = RESOLUTION_MS / 2  # what an answer counted as 0 ms took, on average

Sparse = tuple[tuple[int, int], ...]  # (bucket, count) of the buckets that are not empty


class Second(NamedTuple):
    """What one sample came to."""

    at_s: float
    window_s: float
    arrivals_rps: float  # completions and the change of what is in flight
    requests: int
    errors: int
    sum_ms: float
    histogram: Sparse  # empty unless the goal is a percentile
    in_flight: int
    serving: int
    usable: bool  # says something about what a server can do
    expected_rps: float  # what was then expected, without margin


def sparse(histogram: Sequence[int]) -> Sparse:
    return tuple((i, n) for i, n in enumerate(histogram) if n)


def goal_ms(goal: Goal, seconds: Iterable[Second]) -> float | None:
    """The goal's response time over ``seconds``: the mean (also without a goal) or percentile. None: no requests.

    Never 0: answers take at least half of what the clock of the routers can tell.
    """
    if goal.kind is GoalKind.PERCENTILE and goal.percentile is not None:
        counts = [0] * (len(BOUNDS_MS) + 1)
        for second in seconds:
            for i, n in second.histogram:
                counts[i] += n
        return at_least(percentile_ms(counts, goal.percentile))
    return mean_ms(seconds)


def mean_ms(seconds: Iterable[Second]) -> float | None:
    requests, total = 0, 0.0
    for second in seconds:
        requests += second.requests
        total += second.sum_ms
    return at_least(total / requests) if requests else None


def at_least(time_ms: float | None) -> float | None:
    """A time as the routers count it, as a time that can be divided by."""
    return None if time_ms is None else max(LEAST_MS, time_ms)


def since(seconds: Sequence[Second], at_s: float) -> Sequence[Second]:
    """The seconds that began at ``at_s`` or later, oldest first."""
    n = len(seconds)
    while n and seconds[n - 1].at_s - seconds[n - 1].window_s >= at_s - 0.25:
        n -= 1
    return seconds[n:]


def completed_rps(seconds: Iterable[Second]) -> float:
    """Completions a second of all servers together."""
    requests, length = 0, 0.0
    for second in seconds:
        requests += second.requests
        length += second.window_s
    return requests / length if length else 0.0
