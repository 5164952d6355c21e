"""What the API server's audit log tells about times."""

import json
from collections.abc import Sequence
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
