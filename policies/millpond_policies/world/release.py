"""A rollout as values: how it is to go (``Way``), how far it is (``Progress``), what was seen of it (``Evidence``)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import sqrt

from millpond_policies.learn.histogram import EMPTY, add
from millpond_policies.reasons import Reason
from millpond_policies.world.strategy import Strategy


class Phase(StrEnum):
    WAITING = "Waiting"  # for a change window or an approval: no server of the new edition yet
    VALIDATING = "Validating"  # it has servers and gets no requests but those that ask for it
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    ROLLING_BACK = "RollingBack"
    COMPLETED = "Completed"
    ROLLED_BACK = "RolledBack"
    ABORTED = "Aborted"

    @property
    def final(self) -> bool:
        return self in (Phase.COMPLETED, Phase.ROLLED_BACK, Phase.ABORTED)


class Needs(StrEnum):
    """What a person has to do before it goes on."""

    PROMOTE = "promote"
    APPROVE = "approve"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a canary: a share of the new sessions in percent, or (weight 0) requests with a header."""

    weight: int = 0
    pause_s: float = 0.0  # how long it lasts at least
    approval: bool = False  # it lasts until somebody promotes the edition


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How editions of an app take over, as its owner wants it now."""

    strategy: Strategy = Strategy.ROLLING
    group: int = 1  # servers that come, then go, at a time
    steps: tuple[Step, ...] = ()  # of a canary
    approval: bool = False  # stays Validating until promoted
    preview_servers: int = 1
    soak_s: float = 10.0  # so long the new edition carries everything before the old servers go
    deadline_s: float = 600.0  # for each step
    min_requests: int = 100  # before a canary's step can be found sound
    paused: bool = False
    promoted: int = -1  # the last step that somebody lets it leave; 0 is Validating
    aborted: bool = False
    closed_until_s: float | None = None  # the change window is closed until then; None: it is open
    closed_because: str = "its change window is closed"
    unapproved: bool = False  # a major edition that nobody has approved yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the rollout of ``edition`` is; kept in status. Times in epoch seconds."""

    edition: str
    origin: str  # the edition that serves and would serve on
    strategy: Strategy
    phase: Phase
    step: int = 0  # 0: before the first request
    weight: int = 0  # percent of new sessions that go to the new edition
    servers: int  # that the app needs altogether
    started_s: float
    step_s: float  # when this step began
    reason: Reason
    message: str = ""
    needs: Needs | None = None
    until_s: float | None = None

    @property
    def completed(self) -> bool:
        return self.phase is Phase.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What users met on one edition since a step began. ``sum_ms`` and ``histogram`` are of warmed-up servers only."""

    requests: int = 0
    errors: int = 0
    timed: int = 0  # requests that `sum_ms` and `histogram` are about
    sum_ms: float = 0.0
    histogram: tuple[int, ...] = EMPTY  # over BOUNDS_MS
    windows: int = 0  # observations with requests in them, each about a second
    windows_ms: float = 0.0  # sum of their mean response times
    windows_square: float = 0.0  # sum of the squares of these

    def plus(
        self, requests: int, errors: int, sum_ms: float, histogram: Sequence[int], young: bool
    ) -> "Evidence":
        """With one observation more; ``young``: of servers that warm up, so that its times say nothing."""
        counted = replace(self, requests=self.requests + requests, errors=self.errors + errors)
        if young or not requests:
            return counted
        mean_ms = sum_ms / requests
        return replace(
            counted,
            timed=self.timed + requests,
            sum_ms=self.sum_ms + sum_ms,
            histogram=add((self.histogram, histogram)),
            windows=self.windows + 1,
            windows_ms=self.windows_ms + mean_ms,
            windows_square=self.windows_square + mean_ms * mean_ms,
        )

    @property
    def spread_ms(self) -> float:
        """One standard deviation of the mean, from how far the windows' means lie apart.

        Requests of one second share their fate (a pause, a busy machine), so they are not independent; windows
        nearly are (the method of batch means).
        """
        if self.windows < 2:
            return float("inf")
        mean = self.windows_ms / self.windows
        variance = max(0.0, self.windows_square / self.windows - mean * mean)
        return sqrt(variance / (self.windows - 1))

    @property
    def mean_ms(self) -> float | None:
        return self.sum_ms / self.timed if self.timed else None

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0
