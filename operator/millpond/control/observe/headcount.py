"""How many servers there are, as anybody sees them who may read pods: for demos and the command line."""

from dataclasses import dataclass

from millpond.api.names import LABEL_EDITION, RETIRE_ANNOTATION
from millpond.kube.client import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """How many servers there are now."""

    desired: int = 0
    """Ordered: the replicas of the app's ReplicaSets."""
    ready: int = 0
    starting: int = 0
    draining: int = 0


def count(pods: list[Object], ordered: int) -> Servers:
    """Servers by state. Ready: all of the pod's conditions and gates hold, so the routers send to it."""
    leaving = [pod for pod in pods if leaves(pod)]
    staying = [pod for pod in pods if not leaves(pod) and pod.get("status", {}).get("phase") != "Failed"]
    ready = sum(is_true(pod, "Ready") for pod in staying)
    return Servers(desired=ordered, ready=ready, starting=len(staying) - ready, draining=len(leaving))


def edition_of(pod: Object) -> str:
    return str(pod["metadata"].get("labels", {}).get(LABEL_EDITION, "?"))


def leaves(pod: Object) -> bool:
    meta = pod["metadata"]
    return bool(meta.get("deletionTimestamp")) or RETIRE_ANNOTATION in meta.get("annotations", {})


def is_true(pod: Object, condition: str) -> bool:
    found = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == condition and c["status"] == "True" for c in found)
