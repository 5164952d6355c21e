"""What the API server has refused, so that it is not asked every second."""

from millpond.clock import Clock
from millpond.control.resolve.candidates import Problem

ASK_AGAIN_S = (30.0, 600.0)  # the first time, and at most


class RefusalBackoff:
    """What was refused, until something changed or it is time to ask again: rules of a namespace change, too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, Problem, float, float]] = {}  # by UID; again when, after how long

    def get(self, uid: str, what: str) -> Problem | None:
        """None: not refused so far, or worth another attempt."""
        known = self._known.get(uid)
        return known[1] if known and known[0] == what and self._clock() < known[2] else None

    def add(self, uid: str, what: str, problem: Problem) -> Problem:
        known = self._known.get(uid)
        same = known is not None and known[0] == what
        first_s, most_s = ASK_AGAIN_S
        rest_s = min(most_s, 2 * known[3]) if known and same else first_s
        self._known[uid] = (what, problem, self._clock() + rest_s, rest_s)
        return problem
