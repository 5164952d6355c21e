"""The only place that asks the machine for the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]


def now_s() -> float:
    """Seconds since the epoch."""
    return time.time()


def rfc3339(at_s: float) -> str:
    """1700000000.0 -> 2023-11-14T22:13:20Z"""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> float:
    """2023-11-14T22:13:20Z -> 1700000000.0; raises ValueError on anything else than RFC 3339."""
    return datetime.fromisoformat(text).timestamp()
