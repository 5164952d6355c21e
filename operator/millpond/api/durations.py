"""Durations as people write them in manifests: 300ms, 30s, 1m30s, 1.5h."""

import re

# Six digits a number and sixteen characters in all keep the sum far below what CEL's duration() can hold.
PATTERN = r"^([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h))+$"
MAX_LENGTH = 16
NOT_A_DURATION = (
    '"{self}" is not a duration: write a number with a unit out of ms, s, m, h, such as 300ms, 30s or 1m30s'
)

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")


def is_duration(text: str) -> bool:
    return len(text) <= MAX_LENGTH and re.fullmatch(PATTERN, text) is not None


def seconds(text: str) -> float:
    """ "300ms" -> 0.3, "1m30s" -> 90.0; ValueError on anything that is not a duration."""
    if not is_duration(text):
        raise ValueError(NOT_A_DURATION.format(self=text))
    return sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))
