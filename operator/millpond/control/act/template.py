"""The pod template of a server: the one that was applied, and what Millpond adds to it.

It is read when a pod is made. What changes here, or in `spec.drain`, restarts nothing: the next servers have it.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.api.names import GATE, LABEL_APP, LABEL_EDITION
from millpond.control.resolve.candidates import ValidApp
from millpond.kube.raw import fields

Raw = dict[str, Any]
DEFAULT_GRACE_S = 30
PRESTOP_S = 5
"""How long a server that others delete (kubectl, an eviction, a node that shuts down) runs on before SIGTERM.

Kubernetes ends it without asking the routers, so it must outlive the news: the pod's change wakes the operator at
once, but a cycle may be under way (1 s), a slow router holds a publication up (2 s), and a watch may lag.
"""


def server_template(app: ValidApp, edition: Raw) -> Raw:
    """The pod template of an edition, with labels, gate, pool selector, a late SIGTERM and enough grace."""
    template: Raw = json.loads(json.dumps(edition["spec"]["template"]))
    labels = {LABEL_APP: app.name, LABEL_EDITION: edition["spec"]["edition"]}
    meta = fields(template.get("metadata"))
    template["metadata"] = {**meta, "labels": {**fields(meta.get("labels")), **labels}}
    pod = template.setdefault("spec", {})
    pod["readinessGates"] = _gated(pod.get("readinessGates"))
    pod["nodeSelector"] = _selecting(pod.get("nodeSelector"), app.pool.node_selector)
    pod["containers"] = _outliving(pod.get("containers"), app.spec.port)
    grace = pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
    if isinstance(grace, int):  # anything else is for the API server to refuse
        pod["terminationGracePeriodSeconds"] = max(grace, _longest_s(app.spec))
    return template


def _gated(gates: Any) -> Any:
    """With our gate; what is no list of gates is left for the API server to refuse."""
    found = [] if gates is None else gates
    if not isinstance(found, list):
        return found
    others = [g for g in found if not isinstance(g, dict) or g.get("conditionType") != GATE]
    return [*others, {"conditionType": GATE}]


def _selecting(selector: Any, pools: Mapping[str, str]) -> Any:
    found = {} if selector is None else selector
    return {**found, **pools} if isinstance(found, dict) else found


def _longest_s(spec: ElasticAppSpec) -> int:
    return math.ceil(max(spec.drain.timeout_s, spec.drain.stream_timeout_s)) + PRESTOP_S


def _outliving(containers: Any, port: int) -> Any:
    """The containers; the one that serves has a preStop hook that sleeps, unless it brings a hook of its own.

    The node does the sleeping (stable since Kubernetes 1.34): the image needs no shell and no `sleep`.
    """
    serving = _serving(containers, port)
    if serving is None:
        return containers
    lifecycle = serving.get("lifecycle") or {}
    if not isinstance(lifecycle, dict) or lifecycle.get("preStop"):
        return containers
    hooks = {**lifecycle, "preStop": {"sleep": {"seconds": PRESTOP_S}}}
    return [{**c, "lifecycle": hooks} if c is serving else c for c in containers]


def _serving(containers: Any, port: int) -> Raw | None:
    """The container that declares the port, else the first one; None when there is none that could be."""
    if not isinstance(containers, list) or not all(isinstance(c, dict) for c in containers):
        return None  # for the API server to refuse
    declared = (c for c in containers if port in _ports(c))
    return next(declared, containers[0] if containers else None)


def _ports(container: Raw) -> list[Any]:
    ports = container.get("ports")
    return [p.get("containerPort") for p in ports if isinstance(p, dict)] if isinstance(ports, list) else []
