"""How many requests a second arrive when: the shape of a load."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

ARRIVALS = ("even", "poisson")


@dataclass(frozen=True, slots=True)
class Profile:
    """Corners (t_s, rate_rps) of a load, joined by straight lines; two corners at one t_s are a step.

    The first is at 0 s, the last ends the load. Raises ValueError when times go back or a rate is negative.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.points) < 2 or self.points[0][0] != 0:
            raise ValueError(f"profile {self.points}: needs two corners or more, the first at 0 s")
        for (start_s, _), (end_s, _) in pairwise(self.points):
            if end_s < start_s:
                raise ValueError(f"profile: {end_s} s comes after {start_s} s; times must not go back")
        for t_s, rate_rps in self.points:
            if not (rate_rps >= 0 and math.isfinite(rate_rps) and math.isfinite(t_s)):
                raise ValueError(f"profile: rate {rate_rps} at {t_s} s; must be a finite number ≥ 0")

    @classmethod
    def steps(cls, *holds: tuple[float, float]) -> "Profile":
        """Holds (seconds, rate_rps) one after the other, with steps between them.

        >>> Profile.steps((30, 12), (60, 52)).points
        ((0.0, 12), (30.0, 12), (30.0, 52), (90.0, 52))
        """
        points, at_s = [], 0.0
        for hold_s, rate_rps in holds:
            points += [(at_s, rate_rps), (at_s + hold_s, rate_rps)]
            at_s += hold_s
        return cls(tuple(points))

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        return cls(tuple((float(t), float(rate)) for t, rate in json.loads(text)))

    def to_json(self) -> str:
        return json.dumps(self.points)

    @property
    def duration_s(self) -> float:
        return self.points[-1][0]

    def compressed(self, speed: float, *, last_s: float = 0.0) -> "Profile":
        """The same rates, held for 1/speed of the time; the last one not shorter than `last_s`, or than it was."""
        points = [(t_s / speed, rate) for t_s, rate in self.points]
        least_s = min(last_s, self.points[-1][0] - self.points[-2][0])
        points[-1] = (max(points[-1][0], points[-2][0] + least_s), points[-1][1])
        return Profile(tuple(points))

    def rate_rps(self, at_s: float) -> float:
        """At a step: the rate after it. 0 outside the profile."""
        for (start_s, first), (end_s, last) in reversed(list(pairwise(self.points))):
            if start_s <= at_s <= end_s and end_s > start_s:
                return first + (last - first) * (at_s - start_s) / (end_s - start_s)
        return 0.0

    def jumps(self) -> tuple[tuple[float, float, float], ...]:
        """Every step as (t_s, rate before, rate after)."""
        corners = pairwise(self.points)
        return tuple((t, before, after) for (s, before), (t, after) in corners if s == t and before != after)

    def arrivals_s(self, kind: str = "even", seed: int = 0) -> Iterator[float]:
        """When each request is due, in seconds from the start, ascending.

        Request n is due when the integral of the rate reaches n − ½ (even), or a sum of n exponentials (poisson).
        """
        source = random.Random(seed)
        due = 0.5 if kind == "even" else source.expovariate(1)
        done = 0.0
        for (start_s, first), (end_s, last) in pairwise(self.points):
            volume = (first + last) / 2 * (end_s - start_s)
            while due <= done + volume and volume > 0:
                yield start_s + _time_for(due - done, first, last, end_s - start_s)
                due += 1.0 if kind == "even" else source.expovariate(1)
            done += volume


def _time_for(volume: float, first: float, last: float, length_s: float) -> float:
    """Seconds until a rate going straight from `first` to `last` in `length_s` has brought `volume`."""
    growth = (last - first) / length_s
    if abs(growth) < 1e-12:
        return volume / first
    root = math.sqrt(max(0.0, first * first + 2 * growth * volume))
    return min(length_s, 2 * volume / (first + root))
