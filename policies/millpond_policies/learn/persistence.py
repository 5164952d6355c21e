"""Which learned values are written down, under which names, and what each of them may be."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

TOLERANCE = 0.05  # a smaller change is not worth a write
LONGEST_START_S = 86_400.0


class Value(NamedTuple):
    part: str
    name: str
    least: float
    most: float
    whole: bool = False
    counts: bool = True  # whether its change alone is worth a write


VALUES: Mapping[str, Value] = {
    "startSeconds": Value("memory", "start_s", 0, LONGEST_START_S),
    "starts": Value("memory", "starts", 0, 5, whole=True, counts=False),
    "baseMs": Value("capacity", "base_ms", 0.001, 600_000),
    "tailMs": Value("capacity", "tail_ms", 0.001, 600_000),
    "pools": Value("capacity", "pools", 0, 20, whole=True, counts=False),
    "peakRps": Value("capacity", "peak_rps", 0.0001, 1e7),
    "measured": Value("capacity", "measured", 0, 100_000, whole=True, counts=False),
    "inferred": Value("capacity", "inferred", 0, 5, whole=True, counts=False),
    "spread": Value("capacity", "spread", 0.3, 3, counts=False),
    "frontierRps": Value("capacity", "frontier_rps", 0.0001, 1e7, counts=False),
    "demandMs": Value("capacity", "demand_ms", 0.0001, 600_000),
    "waitMs": Value("capacity", "wait_ms", 0, 600_000, counts=False),
    "cores": Value("capacity", "cores", 0.001, 10_000),
    "stationError": Value("capacity", "station_error", 0, 100, counts=False),
    "lawError": Value("capacity", "law_error", 0, 100, counts=False),
    "queuedServers": Value("capacity", "queued_servers", 0, 1e6, whole=True, counts=False),
    "queuedRps": Value("capacity", "queued_rps", 0, 1e9, counts=False),
    "margin": Value("load", "margin", 1, 1.25, counts=False),
    "strikes": Value("doubt", "strikes", 0, 1000, whole=True),
    "patience": Value("memory", "patience", 1, 30, counts=False),
    "retryAtSeconds": Value("doubt", "retry_at_s", 0, 1e11),
    "unhelpedServers": Value("doubt", "servers", 0, 1e6, whole=True, counts=False),
    "unhelpedRps": Value("doubt", "limit_rps", 0, 1e9, counts=False),
}


def written(parts: Mapping[str, object]) -> dict[str, float]:
    """Values that are known and would be read again, to four digits (times and counts exactly)."""
    found: dict[str, float] = {}
    for key, value in VALUES.items():
        number = _rounded(getattr(parts[value.part], value.name), value)
        if _readable(number, value):
            found[key] = number
    return found


def restored(learned: object) -> dict[str, dict[str, Any]]:
    """Arguments for each part: what is there and within its limits, whatever somebody made of it."""
    parts: dict[str, dict[str, Any]] = {"memory": {}, "capacity": {}, "load": {}, "doubt": {}}
    there = learned if isinstance(learned, Mapping) else {}
    for key, value in VALUES.items():
        number = there.get(key)
        if _readable(number, value):
            parts[value.part][value.name] = int(number) if value.whole else float(number)
    return parts


def _rounded(number: float | None, value: Value) -> float | None:
    if number is None or not _readable(number, value):
        return None
    if value.whole:
        return int(number)
    return round(number, 3) if number > 1e6 else float(f"{number:.4g}")


def _readable(number: object, value: Value) -> TypeGuard[float]:
    """A number within the limits; NaN is in none, and no number is too large to be compared."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return value.least <= number <= value.most


def differs(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    for key, value in VALUES.items():
        a, b = one.get(key), other.get(key)
        if not value.counts or a == b:
            continue
        if a is None or b is None or abs(a - b) > TOLERANCE * max(abs(a), abs(b)):
            return True
    return False
