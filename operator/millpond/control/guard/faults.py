"""What went wrong with one app while the others went on: a name for it, said once, counted, shown in a condition."""

import hashlib
import logging
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath

from millpond.clock import Clock, steady_s
from millpond.kube.errors import ApiError

log = logging.getLogger(__name__)
SHOWN_S = 30.0  # so long an app has had a fault after the last time that something failed
SILENCE_S = 600.0  # the same fault is not logged again for so long
COMPLAINT_S = 60.0  # nor is what the API server answers to the same step of an app
PER_APP = 3  # faults of one app that are logged within SILENCE_S
_LONGEST = 8_000  # characters of a traceback
_FRAMES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``id`` stands in the condition and, with the traceback, in the log; the same for the same fault."""

    id: str
    step: str
    at_s: float


def _nobody(step: str) -> None:
    pass


class Faults:
    """Of all apps, by key. ``begin`` is called before each cycle."""

    def __init__(self, on_fault: Callable[[str], None] = _nobody, clock: Clock = steady_s) -> None:
        """``on_fault(step)`` is told of every fault."""
        self.now: dict[str, Fault] = {}
        """Of this cycle."""
        self.before: frozenset[str] = frozenset()
        """Apps for which something failed or was refused between the last cycle's beginning and this one's."""
        self._tried: set[str] = set()
        self._on_fault = on_fault
        self._clock = clock
        self._last: dict[str, Fault] = {}
        self._logged: dict[str, dict[str, float]] = {}
        self._complaints: dict[tuple[str, str], tuple[float, int]] = {}

    def begin(self, keys: Collection[str]) -> None:
        """Forgets apps that are gone."""
        at_s = self._clock()
        self.now = {}
        self.before, self._tried = frozenset(self._tried), set()
        self._last = {k: f for k, f in self._last.items() if k in keys and 0 <= at_s - f.at_s < SHOWN_S}
        self._logged = {k: told for k, told in self._logged.items() if k in keys}
        self._complaints = {k: told for k, told in self._complaints.items() if k[0] in keys}

    @property
    def shown(self) -> Mapping[str, Fault]:
        """Of apps that failed lately: what comes and goes with each cycle stands still here."""
        return self._last

    @contextmanager
    def guard(self, key: str, step: str) -> Iterator[None]:
        """What fails inside is this app's fault, and ends here."""
        try:
            yield
        except Exception as error:
            self.failed(key, step, error)

    def failed(self, key: str, step: str, error: Exception) -> None:
        self._tried.add(key)
        if isinstance(error, ApiError):
            self._complain(key, step, error)
            return
        at_s = self._clock()
        found = Fault(id=_name(key, error), step=step, at_s=at_s)
        self.now.setdefault(key, found)
        before = self._last.get(key, found)
        self._last[key] = Fault(id=before.id, step=before.step, at_s=at_s)
        self._on_fault(step)
        self._tell(found, key, error)

    def _tell(self, fault: Fault, key: str, error: Exception) -> None:
        told = {i: s for i, s in self._logged.get(key, {}).items() if 0 <= fault.at_s - s < SILENCE_S}
        if fault.id not in told and len(told) < PER_APP:
            told[fault.id] = fault.at_s
            text = "".join(traceback.format_exception(error))
            log.error("%s: %s: internal error %s\n%s", key, fault.step, fault.id, text[-_LONGEST:])
        self._logged[key] = told

    def _complain(self, key: str, step: str, error: ApiError) -> None:
        """The API server's answers, at most one a minute for the same step of an app."""
        at_s = self._clock()
        since_s, more = self._complaints.get((key, step), (-COMPLAINT_S, 0))
        if at_s - since_s < COMPLAINT_S:
            self._complaints[key, step] = (since_s, more + 1)
            return
        self._complaints[key, step] = (at_s, 0)
        log.warning("%s: %s: %.1000s%s", key, step, error, f" (and {more} times before)" if more else "")


def _name(key: str, error: Exception) -> str:
    """The same for the same code path of the same app: nothing of what its data says."""
    frames = traceback.extract_tb(error.__traceback__, limit=_FRAMES)
    way = [(PurePath(frame.filename).name, frame.lineno) for frame in frames]
    return hashlib.sha256(repr((key, type(error).__name__, way)).encode()).hexdigest()[:10]
