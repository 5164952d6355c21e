"""The only place that asks the machine for the time."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

RFC3339 = (
    r"^(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""For Python and RE2 alike: whatever matches is a moment, if its month has that day. No leap seconds, no year 0."""
_FORM = re.compile(RFC3339)
_FIRST_S, _LAST_S = -62_135_596_800.0, 253_402_300_799.0  # of the years 1 to 9999
Clock: TypeAlias = Callable[[], float]
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Seconds since the epoch."""
    return time.time()


def steady_s() -> float:
    """Seconds that only ever grow, asleep or not, whoever sets the clock: for ages and deadlines."""
    return time.clock_gettime(_STEADY)


def worked_s() -> float:
    """Seconds of processor time that this thread has used."""
    return time.thread_time()


def rfc3339(at_s: float) -> str:
    """1700000000.0 -> 2023-11-14T22:13:20Z; what lies beyond the calendar is its first or last second."""
    found = datetime.fromtimestamp(max(_FIRST_S, min(_LAST_S, at_s)), UTC)
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> float:
    """2023-11-14T22:13:20Z -> 1700000000.0; raises ValueError on anything else than RFC 3339."""
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise ValueError("not a date and time as in RFC 3339, such as 2030-01-31T18:00:00Z")
    return datetime.fromisoformat(text.upper()).timestamp()
