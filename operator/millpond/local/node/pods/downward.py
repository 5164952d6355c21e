"""What a pod may know about itself: fieldRef, resourceFieldRef; and the text in ConfigMaps and Secrets."""

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from millpond.local.node.api import Json
from millpond.local.node.pods import quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A pod as the API server has it, with what only its node knows."""

    pod: Json
    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, str]


def field(path: str, facts: Facts) -> str:
    """Raises ValueError for a path that a process node does not know."""
    meta, spec = facts.pod["metadata"], facts.pod["spec"]
    if keyed := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(meta.get(keyed[1], {}).get(keyed[2], ""))
    plain = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
    }
    if path not in plain:
        raise ValueError(f"fieldPath {path} is not supported; known are {', '.join(plain)}")
    return str(plain[path])


def resource(ref: Json, container: Json, facts: Facts) -> str:
    """limits.* and requests.* of this container in whole divisors, rounded up; no limit: what the node has."""
    kind, _, name = ref["resource"].partition(".")
    named = ref.get("containerName") or container["name"]
    everyone = [*facts.pod["spec"]["containers"], *facts.pod["spec"].get("initContainers", ())]
    resources: Json = next((c.get("resources", {}) for c in everyone if c["name"] == named), {})
    amount = resources.get(kind, {}).get(name)
    if amount is None:
        amount = facts.allocatable.get(name, "0") if kind == "limits" else "0"
    divisor = quantity.parse(ref.get("divisor") or "1") or quantity.parse("1")
    return str(math.ceil(quantity.parse(amount) / divisor))


def text_data(kind: str, found: Json) -> dict[str, str]:
    """Values of a ConfigMap as they are, of a Secret decoded."""
    data: dict[str, str] = found.get("data") or {}
    if kind == "configmaps":
        return data
    return {name: base64.b64decode(value).decode(errors="surrogateescape") for name, value in data.items()}
