"""Whether a draining server has finished: what the routers said of it, sample by sample."""

from dataclasses import dataclass

from millpond.control.drain.retire import RetireStep
from millpond.control.observe.objects import RetireIntent

SAMPLES = 2  # in a row: a request may be between two of a router's counters while one is taken
FRESH_S = 3.0  # three reports: an older sample proves nothing any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One server as all living routers together saw it, no earlier than `at_s`."""

    at_s: float
    requests: int  # active or waiting for a connection, streams not counted
    streams: int = 0
    total: int | None = None  # requests ever; None: not counted here


@dataclass(slots=True)
class Quiet:
    """Of one server, since every router acknowledged that it drains.

    It lives as long as this operator, no longer: after a restart, sessions must stand still for the whole time once
    more, because nobody watched meanwhile. The deadlines do not move: they are in the intent.
    """

    since_s: float
    last: Activity | None = None
    idle: int = 0  # samples in a row without requests
    streamless: int = 0  # samples in a row without streams
    void_since_s: float | None = None  # its removal is ordered, but the ReplicaSet does not remove it
    _total: int | None = None
    _moved_s: float = 0.0
    _counted_s: float = 0.0

    def saw(self, sample: Activity) -> None:
        """Samples of the same moment count once, those from before the acknowledgement not at all."""
        if sample.at_s <= (self.last.at_s if self.last else self.since_s):
            return
        self.last = sample
        self.idle = 0 if sample.requests else self.idle + 1
        self.streamless = 0 if sample.streams else self.streamless + 1
        if sample.total is not None:
            self._count(sample.total, sample.at_s, busy=sample.requests > 0)

    def _count(self, total: int, at_s: float, *, busy: bool) -> None:
        if total != self._total or busy:  # who waits for an answer has not left
            self._total, self._moved_s = total, at_s
        self._counted_s = at_s

    @property
    def still_s(self) -> float:
        """For how long no request came or was worked on, as far as it was watched."""
        return self._counted_s - self._moved_s

    def busy(self, intent: RetireIntent, session_timeout_s: float | None, now_s: float) -> RetireStep | None:
        """What it has not finished, as far as that may still hold its removal up."""
        fresh = self._fresh(now_s) is not None
        if now_s < intent.deadline_s:
            if not fresh or self.idle < SAMPLES:
                return RetireStep.REQUESTS
            if session_timeout_s is not None and self.still_s < session_timeout_s:
                return RetireStep.SESSIONS
        if now_s < intent.last_deadline_s and not (fresh and self.streamless >= SAMPLES):
            return RetireStep.STREAMS
        return None

    def left(self, session_timeout_s: float | None, now_s: float) -> str | None:
        """What is cut off if it goes now, in words; None: nothing that is known of."""
        last = self._fresh(now_s)
        if last is None:
            return "an unknown number of requests and streams unfinished"
        if last.requests or last.streams:
            return f"{_count(last.requests, 'request')} and {_count(last.streams, 'stream')} unfinished"
        if session_timeout_s is not None and self.still_s < session_timeout_s:
            return "sessions that go on: another server gets them"
        return None

    def _fresh(self, now_s: float) -> Activity | None:
        return self.last if self.last is not None and now_s - self.last.at_s <= FRESH_S else None

    def promising(self, now_s: float) -> bool:
        """A look at it may well find it idle: the newest sample did, or there is none to go by."""
        last = self._fresh(now_s)
        return last is None or not (last.requests or last.streams)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
