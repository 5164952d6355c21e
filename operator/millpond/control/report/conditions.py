"""Conditions have one setter, which keeps the transition time while the status stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from millpond.clock import rfc3339
from millpond.control.guard.faults import Fault
from millpond.kube.raw import of_kind
from millpond_policies.reasons import Reason

INTERNAL_ERROR = "InternalError"
FOREIGN = 6  # conditions that others may add: the schema takes 20 in all
OURS = frozenset(
    {
        INTERNAL_ERROR,
        "Ready",
        "SLAMet",
        "MetricsAvailable",
        "Limited",
        "Yielding",
        "Draining",
        "RollingOut",
        "Parked",
        "Paused",
        "Contested",
        "ReplicasIgnored",
    }
)
_GOES_ON = (
    "the operator could not work with this app; what runs and is routed goes on as it was. "
    "The operator's log has the id with the details"
)


def condition(conditions: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    return next((c for c in conditions if c.get("type") == kind), None)


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
    same = before is not None and before.get("status") == text
    since = (before.get("lastTransitionTime") if before and same else None) or rfc3339(now_s)
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
    return [after if c.get("type") == kind else dict(c) for c in conditions]


def bounded(conditions: Any) -> list[dict[str, Any]]:
    """Conditions as they were read, less what is none, and of others' no more than leave room for ours."""
    found = [dict(c) for c in of_kind(conditions).values()]
    foreign = [c for c in found if c["type"] not in OURS][FOREIGN:]
    return [c for c in found if c not in foreign] if foreign else found


def with_fault(
    conditions: Sequence[Mapping[str, Any]], generation: int, fault: Fault | None, now_s: float
) -> list[dict[str, Any]]:
    """The condition InternalError; an app that never had a fault has none."""
    if fault is None and condition(conditions, INTERNAL_ERROR) is None:
        return [dict(c) for c in conditions]
    reason = Reason.NO_ERROR if fault is None else Reason.INTERNAL_ERROR
    text = "" if fault is None else f"error {fault.id} in step {fault.step!r}: {_GOES_ON}"
    return with_condition(conditions, INTERNAL_ERROR, fault is not None, reason, text, generation, now_s)
