"""Durations as people write them in manifests: 300ms, 30s, 1m30s, 1.5h."""

import re
from functools import lru_cache

# Six digits a number and sixteen characters in all keep the sum far below what CEL's duration() can hold.
PATTERN = r"^([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h))+$"
MAX_LENGTH = 16
NOT_A_DURATION = (
    '"{self}" is not a duration: write a number with a unit out of ms, s, m, h, such as 300ms, 30s or 1m30s'
)

_UNIT_US = {"ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_PART = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ms|s|m|h)")


def is_duration(text: str) -> bool:
    return len(text) <= MAX_LENGTH and re.fullmatch(PATTERN, text) is not None


def seconds(text: str) -> float:
    """ "300ms" -> 0.3, "1m30s" -> 90.0; ValueError on anything that is not a duration."""
    return microseconds(text) / 1_000_000


@lru_cache(maxsize=4096)
def microseconds(text: str) -> int:
    """Exactly, as the API server counts: 23h59m59.999s1ms is 24h, which a sum of floats may miss."""
    if not is_duration(text):
        raise ValueError(NOT_A_DURATION.format(self=text))
    return sum(
        int(whole) * _UNIT_US[unit] + int((part or "0").ljust(3, "0")) * _UNIT_US[unit] // 1000
        for whole, part, unit in _PART.findall(text)
    )
