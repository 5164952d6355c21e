"""Response times as counts per bucket: they add up over routers and seconds, percentiles do not.

The router is configured with the same bounds, so nothing is lost between its histogram and ours. Bounds grow by about
a fifth (a reading is at most 10 % off within a bucket), from 1 ms to 10 minutes.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate


def _bounds() -> tuple[float, ...]:
    bounds, value = [], 1.0
    while value < 600_000:
        bounds.append(float(f"{value:.3g}"))
        value *= 1.2
    return (*bounds, 600_000.0)


BOUNDS_MS: tuple[float, ...] = _bounds()
EMPTY: tuple[int, ...] = ()
_MOST = 1e18  # requests: more than can be, and still a number that can be computed with


def add(histograms: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The sum of histograms, each of ``len(BOUNDS_MS) + 1`` counts or empty; empty when all are.

    >>> add([(), (1, 2), (3, 4)])
    (4, 6)
    """
    filled = [h for h in histograms if h]
    return tuple(map(sum, zip(*filled, strict=True))) if filled else EMPTY


def percentile_ms(histogram: Sequence[int], percentile: float) -> float | None:
    """The response time in ms that ``percentile`` % of requests stay within; None without requests or a sense.

    Linear within a bucket. With 10 requests in (100, 120] and p50: the 5th of 10 lies half-way, 110 ms. Requests
    above the last bound count as that bound.
    """
    total = sum(histogram)
    if not 0 < total <= _MOST or not 0 <= percentile <= 100:
        return None
    rank = total * percentile / 100
    for i, seen in enumerate(accumulate(histogram)):
        if seen >= rank and histogram[i]:
            if i >= len(BOUNDS_MS):
                break
            low = BOUNDS_MS[i - 1] if i else 0.0
            inside = (rank - (seen - histogram[i])) / histogram[i]
            return low + (BOUNDS_MS[i] - low) * min(1.0, max(0.0, inside))
    return BOUNDS_MS[-1]
