"""Why no node takes a pod: the scheduler's words without their counts, which move with the cluster. Pure."""

import re
from collections.abc import Mapping
from typing import Any, TypedDict

from millpond.control.obstacles.refusals import short
from millpond_policies.reasons import Reason

Raw = Mapping[str, Any]
_COUNT = re.compile(r"^\d+(/\d+)? ")


class Found(TypedDict):
    reason: Reason
    text: str


def unschedulable(spec: Raw, said: str) -> Found:
    """``said``: 0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector."""
    causes = _causes(said)
    told = "; ".join(causes) or "no node has room for it"
    volume = any("persistentvolumeclaim" in c.lower() or "volume" in c.lower() for c in causes)
    reason = Reason.VOLUME_NOT_BOUND if volume else Reason.SERVERS_UNSCHEDULABLE
    advice = [text for words, text in _advice(spec) if any(word in c for c in causes for word in words)]
    return {"reason": reason, "text": short(": ".join([f"no node takes it: {told}", *advice]))}


def _causes(said: str) -> list[str]:
    text = re.split(r"\. preemption: | preemption: ", said)[0]
    head, colon, rest = text.partition("nodes are available: ")
    parts = re.split(r", (?=\d+ )", (rest if colon else head).strip().rstrip("."))
    return sorted({_COUNT.sub("", part).strip() for part in parts if part.strip()})


def _advice(spec: Raw) -> list[tuple[tuple[str, ...], str]]:
    selector = ", ".join(f"{k}={v}" for k, v in sorted((spec.get("nodeSelector") or {}).items()))
    claims = ", ".join(
        str(v["persistentVolumeClaim"].get("claimName"))
        for v in spec.get("volumes") or ()
        if v.get("persistentVolumeClaim")
    )
    return [
        (
            ("Insufficient", "Too many pods"),
            f"it requests {_requests(spec)}: add nodes to the pool, or request less",
        ),
        (
            ("selector",),
            f"its nodeSelector is {selector or 'none'}: label nodes of the pool so, or change it or the affinity",
        ),
        (("taint",), "add tolerations to the template, or remove the taint"),
        (
            ("persistentvolumeclaim", "PersistentVolumeClaim", "volume"),
            f"create or bind the claims: {claims or 'none'}",
        ),
    ]


def _requests(spec: Raw) -> str:
    found = []
    for container in spec.get("containers") or ():
        requests = (container.get("resources") or {}).get("requests") or {}
        found.append(
            f"{container.get('name')}: " + (" ".join(f"{k}={v}" for k, v in sorted(requests.items())) or "-")
        )
    return ", ".join(found)
