"""What servers look like without Millpond: ReplicaSets that Kubernetes keeps alive by itself, and their Service."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from millpond.api.names import API_VERSION, GATE, GROUP, LABEL_APP
from millpond.api.protocol import Protocol
from millpond.kube.raw import entries

Raw = dict[str, Any]
DETACHED_ANNOTATION = f"{GROUP}/detached"  # on a ReplicaSet: {"port": 8080, "protocol": "HTTP"}
_PORT = 8080
_OURS = (f"{GROUP}/", "kubectl.kubernetes.io/")


def without_gate(gates: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return [gate for gate in entries(gates or []) if gate.get("conditionType") != GATE]


def foreign_owners(meta: Mapping[str, Any]) -> list[Raw]:
    """Owners of other kinds than Millpond's."""
    owners = meta.get("ownerReferences") or ()
    return [owner for owner in owners if not str(owner.get("apiVersion")).startswith(f"{GROUP}/")]


def foreign_finalizers(meta: Mapping[str, Any]) -> list[str]:
    return [name for name in meta.get("finalizers") or () if not name.startswith(f"{GROUP}/")]


def replicas_without(replicas: int, living: int, retiring: int) -> int:
    """What to order so that the servers that were about to go go: some of them may be ordered away already.

    >>> replicas_without(3, living=3, retiring=1), replicas_without(2, living=3, retiring=1)
    (2, 2)
    """
    ordered_away = max(0, living - replicas)
    return replicas - min(replicas, max(0, retiring - ordered_away))


def note(app: Raw) -> str:
    """What a detached ReplicaSet remembers of its app: how it is reached."""
    spec = app["spec"]
    return json.dumps({"port": spec.get("port", _PORT), "protocol": spec.get("protocol", Protocol.HTTP)})


def loosened(owned: Raw, replicas: int, noted: str) -> Raw | None:
    """The merge patch after which new servers become Ready by themselves; None when that is so already."""
    meta, spec = owned["metadata"], owned["spec"]
    pod = spec["template"]["spec"]
    gates = without_gate(pod.get("readinessGates"))
    same = len(gates) == len(pod.get("readinessGates") or ()) and replicas == spec["replicas"]
    if same and (meta.get("annotations") or {}).get(DETACHED_ANNOTATION) == noted:
        return None
    return {
        "metadata": {"resourceVersion": meta["resourceVersion"], "annotations": {DETACHED_ANNOTATION: noted}},
        "spec": {"replicas": replicas, "template": {"spec": {"readinessGates": gates or None}}},
    }


def service(sets: Sequence[Raw], taken: Mapping[str, Raw]) -> Raw | None:
    """The Service that reaches the servers of one detached app; None when it has none, or nobody can read where.

    `sets`: its ReplicaSets; `taken`: selectors of the namespace's Services by name, which are left alone.
    """
    serving = [s for s in sets if s["spec"]["replicas"]] or list(sets)
    if not serving:
        return None
    meta = serving[0]["metadata"]
    app = meta["labels"][LABEL_APP]
    labels = serving[0]["spec"]["selector"]["matchLabels"] if len(serving) == 1 else {LABEL_APP: app}
    reached = _reached(meta["annotations"].get(DETACHED_ANNOTATION))
    if reached is None:
        return None
    port: Raw = {"name": "http", "port": 80, "targetPort": reached["port"]}
    if reached["protocol"] != Protocol.HTTP:
        port["appProtocol"] = "kubernetes.io/h2c"
    free = (name for name in (app, f"{app}-plain") if taken.get(name, labels) == labels)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": next(free, f"{app}-detached"), "namespace": meta["namespace"]},
        "spec": {"selector": labels, "ports": [port]},
    }


def _reached(noted: Any) -> Raw | None:
    """A note as it stands on the ReplicaSet, where others may edit it."""
    try:
        found = json.loads(noted)
        port, protocol = found["port"], Protocol(found["protocol"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return {"port": port, "protocol": protocol} if isinstance(port, int) and 0 < port < 65536 else None


def manifest(app: Raw) -> Raw:
    """An ElasticApp as somebody would apply it: without what the cluster added."""
    meta = app["metadata"]
    kept: Raw = {"name": meta["name"], "namespace": meta["namespace"]}
    for field in ("labels", "annotations"):
        found = {k: v for k, v in (meta.get(field) or {}).items() if not k.startswith(_OURS)}
        kept |= {field: found} if found else {}
    return {"apiVersion": API_VERSION, "kind": "ElasticApp", "metadata": kept, "spec": app["spec"]}
