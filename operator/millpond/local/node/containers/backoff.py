"""How long a container that ended waits for its next start, as the kubelet does it."""

from dataclasses import dataclass, replace

MAX_S = 300.0
_FORGET_AFTER = 2  # times MAX_S without an end: the next restart is immediate again


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The first restart is immediate; then ``base_s`` doubling to five minutes, counted from the last end.

    10 s base: waits of 0, 10, 20, 40, 80, 160, 300, 300 … s.
    """

    base_s: float = 10.0
    wait_s: float = 0.0
    last_end_s: float | None = None

    def after_end(self, at_s: float) -> "Backoff":
        """The container ended at ``at_s``: how it is after that, with ``wait_s`` before the next start."""
        if self.last_end_s is None or at_s - self.last_end_s > _FORGET_AFTER * MAX_S:
            return replace(self, wait_s=0.0, last_end_s=at_s)
        return replace(self, wait_s=min(max(self.base_s, self.wait_s * 2), MAX_S), last_end_s=at_s)
