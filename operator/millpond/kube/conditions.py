"""Conditions have one setter, which keeps the transition time while the status stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from millpond.clock import rfc3339
from millpond_policies.reasons import Reason


def condition(conditions: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    return next((c for c in conditions if c["type"] == kind), None)


def with_condition(
    conditions: Sequence[Mapping[str, Any]],
    kind: str,
    status: bool | None,
    reason: Reason,
    message: str,
    generation: int,
    now_s: float,
) -> list[dict[str, Any]]:
    """The conditions with this one set; equal to the given when nothing changed. ``status`` None: Unknown."""
    before = condition(conditions, kind)
    text = "Unknown" if status is None else str(status)
    since = before["lastTransitionTime"] if before and before["status"] == text else rfc3339(now_s)
    after = {
        "type": kind,
        "status": text,
        "reason": reason.value,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }
    if before is None:
        return [*map(dict, conditions), after]
    return [after if c["type"] == kind else dict(c) for c in conditions]
