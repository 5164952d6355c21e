"""A pod's status out of the states of its containers: phase and conditions as a kubelet computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from millpond.clock import rfc3339
from millpond.local.node.api import Json
from millpond.local.node.state import Container, Ended

OWN_CONDITIONS = ("Initialized", "ContainersReady", "Ready")
FINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The node's own word on a pod that it refused or ended, over whatever its containers did."""

    reason: str
    message: str


def build(
    pod: Json,
    init: Sequence[Container],
    containers: Sequence[Container],
    *,
    ip: str,
    host_ip: str,
    started_at_s: float,
    now_s: float,
    verdict: Verdict | None = None,
) -> Json:
    """The fields of ``status`` that the node owns; others' conditions are not in it."""
    initialized = all(c.ended and c.ended.exit_code == 0 for c in init)
    phase = "Failed" if verdict else _phase(pod["spec"]["restartPolicy"], init, containers)
    status: Json = {
        "phase": phase,
        "reason": verdict.reason if verdict else None,
        "message": verdict.message if verdict else None,
        "startTime": rfc3339(started_at_s),
        "conditions": _conditions(pod, containers, initialized, phase, now_s),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "containerStatuses": [_container(c) for c in containers],
    }
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    if init:
        status["initContainerStatuses"] = [_container(c) | {"ready": c.ended is not None} for c in init]
    return status


def _phase(policy: str, init: Sequence[Container], containers: Sequence[Container]) -> str:
    if any(c.ended and c.ended.exit_code for c in init) and policy == "Never":
        return "Failed"
    if not all(c.ended and c.ended.exit_code == 0 for c in init):
        return "Pending"
    if any(c.waiting and not c.last for c in containers):
        return "Pending"
    ends = [c.ended for c in containers if c.ended]
    if policy == "Always" or len(ends) < len(containers):
        return "Running"
    if not any(e.exit_code for e in ends):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _conditions(
    pod: Json, containers: Sequence[Container], initialized: bool, phase: str, now_s: float
) -> list[Json]:
    present = {c["type"]: c for c in pod.get("status", {}).get("conditions", ())}
    unready = [c.name for c in containers if not c.ready]
    blocked = _blocked_gates(pod, present)
    finished = "PodCompleted" if phase == "Succeeded" else "PodFailed" if phase == "Failed" else None
    inits = None if initialized else ("ContainersNotInitialized", "init containers have not completed")
    lacking = (
        ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]") if unready else None
    )
    if finished:
        lacking = (finished, "")
    gated = ("ReadinessGatesNotReady", "; ".join(blocked)) if blocked else None
    found = (("Initialized", inits), ("ContainersReady", lacking), ("Ready", lacking or gated))
    return [_condition(kind, why, present.get(kind), now_s) for kind, why in found]


def _blocked_gates(pod: Json, present: dict[str, Json]) -> list[str]:
    blocked = []
    for gate in (g["conditionType"] for g in pod["spec"].get("readinessGates", ())):
        if gate not in present:
            blocked.append(f'corresponding condition of pod readiness gate "{gate}" does not exist.')
        elif present[gate]["status"] != "True":
            blocked.append(
                f'the status of pod readiness gate "{gate}" is not "True", but {present[gate]["status"]}'
            )
    return blocked


def _condition(kind: str, why: tuple[str, str] | None, before: Json | None, now_s: float) -> Json:
    status = "False" if why else "True"
    kept = before["lastTransitionTime"] if before and before["status"] == status else None
    return {
        "type": kind,
        "status": status,
        "reason": why[0] if why else None,
        "message": (why[1] or None) if why else None,
        "lastTransitionTime": kept or rfc3339(now_s),
    }


def _container(c: Container) -> Json:
    return {
        "name": c.name,
        "image": c.image,
        "imageID": "",
        "restartCount": c.restarts,
        "ready": c.ready,
        "started": c.started,
        "state": _state(c),
        "lastState": {"terminated": _terminated(c.last)} if c.last else {},
        "containerID": _id(c),
    }


def _id(c: Container) -> str:
    known: Any = c.running or c.ended or c.last
    return f"process://{known.id}" if known else ""


def _state(c: Container) -> Json:
    if c.running:
        return {"running": {"startedAt": rfc3339(c.running.started_at_s)}}
    if c.ended:
        return {"terminated": _terminated(c.ended)}
    assert c.waiting
    return {"waiting": {"reason": c.waiting.reason, "message": c.waiting.message}}


def _terminated(ended: Ended) -> Json:
    return {
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "message": ended.message,
        "startedAt": rfc3339(ended.started_at_s),
        "finishedAt": rfc3339(ended.finished_at_s),
        "containerID": f"process://{ended.id}",
    }
