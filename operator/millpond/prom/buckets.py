"""Prometheus' cumulative buckets as counts over Millpond's bounds."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise

from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.sample import MOST_COUNTED


def histogram(cumulative: Mapping[float, float]) -> tuple[int, ...]:
    """Counts per bucket of BOUNDS_MS, from ``{upper bound in ms: requests up to it}``.

    Empty without a +Inf bucket or requests, or with bounds or counts that cannot be. Linear within a bucket, as
    Prometheus does. Requests beyond the last finite bound are put just above it.
    """
    if not all(bound >= 0 and 0 <= count <= MOST_COUNTED for bound, count in cumulative.items()):
        return ()
    bounds = sorted(cumulative)
    if not bounds or bounds[-1] != float("inf"):
        return ()
    counts = _never_falling([cumulative[b] for b in bounds])
    if round(counts[-1]) <= 0:
        return ()
    up_to = [round(_requests_up_to(bound, bounds, counts)) for bound in BOUNDS_MS] + [round(counts[-1])]
    return tuple(high - low for low, high in pairwise([0, *up_to]))


def _requests_up_to(bound_ms: float, bounds: list[float], counts: list[float]) -> float:
    at = bisect_left(bounds, bound_ms)
    high, low = bounds[at], bounds[at - 1] if at else 0.0
    before = counts[at - 1] if at else 0.0
    if high == float("inf"):
        return counts[-1] if bound_ms > low else before
    return before + (counts[at] - before) * (bound_ms - low) / (high - low)


def _never_falling(counts: list[float]) -> list[float]:
    """Buckets are scraped one after the other, so a bucket may seem to hold less than a smaller one."""
    highest, rising = 0.0, []
    for count in counts:
        highest = max(highest, count)
        rising.append(highest)
    return rising
