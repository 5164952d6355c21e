"""The only place that asks the machine for the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Seconds since the epoch."""
    return time.time()


def steady_s() -> float:
    """Seconds that only ever grow, asleep or not, whoever sets the clock: for ages and deadlines."""
    return time.clock_gettime(_STEADY)


def rfc3339(at_s: float) -> str:
    """1700000000.0 -> 2023-11-14T22:13:20Z"""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> float:
    """2023-11-14T22:13:20Z -> 1700000000.0; raises ValueError on anything else than RFC 3339."""
    return datetime.fromisoformat(text).timestamp()
