"""What the API server has refused, so that it is not asked every second."""

import math

from millpond.clock import Clock
from millpond.kube.resolve import Problem

ASK_AGAIN_S = (30.0, 600.0)  # the first time, and at most


class Refused:
    """What was refused, until something changed or it is time to ask again: rules of a namespace change, too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, Problem, float, float]] = {}  # by UID; again when, after how long

    def get(self, uid: str, what: str) -> Problem | None:
        """None: not refused so far, or worth another attempt."""
        known = self._known.get(uid)
        return known[1] if known and known[0] == what and self._clock() < known[2] else None

    def add(self, uid: str, what: str, problem: Problem, *, for_good: bool = False) -> Problem:
        known = self._known.get(uid)
        same = known is not None and known[0] == what
        first_s, most_s = ASK_AGAIN_S
        rest_s = min(most_s, 2 * known[3]) if known and same else first_s
        again_s = math.inf if for_good else self._clock() + rest_s
        self._known[uid] = (what, problem, again_s, rest_s)
        return problem
