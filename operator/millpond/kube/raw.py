"""Parts of raw objects as what they ought to be: what is something else counts as absent."""

from collections.abc import Mapping
from typing import Any

_LARGEST = 2**63 - 1


def fields(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, (list, tuple)) else []


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def number(value: Any, otherwise: int = 0) -> int:
    """A whole number that Kubernetes could mean."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
    return value if whole else otherwise


def of_kind(conditions: Any) -> dict[str, Mapping[str, Any]]:
    """Conditions by their type."""
    return {c["type"]: c for c in entries(conditions) if isinstance(c.get("type"), str)}
