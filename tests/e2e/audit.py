"""What the API server's audit log tells about times."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path


def retire_s(audit_log: Path, namespace: str, since_line: int = 0) -> Sequence[float]:
    """From the intent to the deletion of each retired pod of the namespace, by the API server's own clock."""
    named_s: dict[str, float] = {}
    took_s: dict[str, float] = {}
    for line in audit_log.read_text().splitlines()[since_line:]:
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        of_pod = about.get("namespace") == namespace and about.get("resource") == "pods"
        if not of_pod or "subresource" in about or entry["stage"] != "ResponseComplete":
            continue
        pod, at_s = about.get("name", ""), datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
        if entry["verb"] == "patch":
            named_s.setdefault(pod, at_s)
        elif entry["verb"] == "delete" and pod in named_s:
            took_s.setdefault(pod, at_s - named_s[pod])
    return list(took_s.values())


def start_s(audit_log: Path, namespace: str, prefix: str) -> float:
    """From the binding of the pod whose name begins so, until its node last spoke before the operator opened its gate.

    That is when its containers were ready: the operator waits for nothing else.
    """
    bound_s = ready_s = 0.0
    for pod, part, who, at_s in _pod_writes(audit_log, namespace):
        if not pod.startswith(prefix):
            continue
        if part == "binding":
            bound_s = at_s
        elif part == "status" and who.startswith("system:node:"):
            ready_s = at_s
        elif part == "status" and "millpond-operator" in who:
            return ready_s - bound_s
    raise LookupError(f"no pod {prefix}… was opened to requests")


def orders_s(audit_log: Path, namespace: str, since_line: int = 0) -> Sequence[float]:
    """From each `kubectl scale` of an app of the namespace to the operator's next write of a ReplicaSet there."""
    found: list[float] = []
    asked_s: float | None = None
    for line in audit_log.read_text().splitlines()[since_line:]:
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        if about.get("namespace") != namespace or entry["stage"] != "ResponseComplete":
            continue
        at_s = datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
        if about.get("resource") == "elasticapps" and about.get("subresource") == "scale":
            asked_s = at_s if entry["verb"] in ("patch", "update") else asked_s
        elif about.get("resource") == "replicasets" and entry["verb"] == "patch" and asked_s is not None:
            found.append(at_s - asked_s)  # its controller writes the status only, by update
            asked_s = None
    return found


def _pod_writes(audit_log: Path, namespace: str) -> Iterator[tuple[str, str, str, float]]:
    """(pod, subresource, user, when) in the order of the log."""
    for line in audit_log.read_text().splitlines():
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        if about.get("namespace") != namespace or about.get("resource") != "pods":
            continue
        if entry["stage"] == "ResponseComplete" and entry["verb"] in ("create", "patch", "update"):
            at_s = datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
            yield about.get("name", ""), about.get("subresource", ""), entry["user"]["username"], at_s
