"""Nodes, and the pods of others on them: what there is, and what is asked of it. Pure and total."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millpond.api import quantity
from millpond.control.observe.requests import requests
from millpond.kube.raw import entries, fields, of_kind, text
from millpond_policies.world.constraints import Resources
from millpond_policies.world.nodes import Node, Power, Taint

Raw = Mapping[str, Any]


def node(raw: Raw) -> Node:
    """What all pods request there is added when the snapshot is made; hardware whose node is ready is on."""
    spec, status = fields(raw.get("spec")), fields(raw.get("status"))
    ready = of_kind(status.get("conditions")).get("Ready", {}).get("status") == "True"
    labels = fields(raw["metadata"].get("labels"))
    return Node(
        name=raw["metadata"]["name"],
        labels={key: value for key, value in labels.items() if isinstance(value, str)},
        taints=tuple(_taint(taint) for taint in entries(spec.get("taints"))),
        allocatable=_allocatable(fields(status.get("allocatable"))),
        ready=ready,
        cordoned=spec.get("unschedulable") is True,
        power=Power.ON if ready else Power.UNKNOWN,
    )


def _taint(raw: Raw) -> Taint:
    return Taint(
        key=text(raw.get("key")) or "",
        value=text(raw.get("value")) or "",
        effect=text(raw.get("effect")) or "",
    )


def _allocatable(raw: Raw) -> Resources | None:
    """None while the node has not said it."""
    cpu_m = quantity.counted(raw.get("cpu"), 1000)
    memory, pods = quantity.counted(raw.get("memory")), quantity.counted(raw.get("pods"))
    if cpu_m is None or memory is None or pods is None:
        return None
    return Resources(cpu_m=cpu_m, memory_bytes=memory, pods=pods)


@dataclass(frozen=True, slots=True)
class PodOnNode:
    """All that is kept of a pod that is not ours. ``requests`` None: they cannot be read."""

    node: str | None
    requests: Resources | None


def pod_on_node(raw: Raw) -> PodOnNode:
    spec, status = fields(raw.get("spec")), fields(raw.get("status"))
    if status.get("phase") in ("Succeeded", "Failed"):
        return PodOnNode(None, None)
    return PodOnNode(text(spec.get("nodeName")), requests(spec, status))
