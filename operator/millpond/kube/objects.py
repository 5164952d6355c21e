"""What the cycle keeps of each Kubernetes object: small frozen values, read once when the object changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millpond.api.names import GATE, LABEL_APP, LABEL_EDITION, RETIRE_ANNOTATION
from millpond.clock import from_rfc3339
from millpond.kube.obstacles import Obstacle, obstacle
from millpond.kube.refusals import Refusal, refusal

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
VICTIM_ANNOTATION = (
    "millpond.dev/victim"  # on a ReplicaSet: the pod UID that its last decrement was meant for
)
DECISION_ANNOTATION = "millpond.dev/decision"  # on what a decision changed, in the same write: why

OVERDUE_S = 30.0


def _at(text: str | None) -> float | None:
    return from_rfc3339(text) if text else None


def _key(meta: Mapping[str, Any], name: str) -> str:
    return f"{meta['namespace']}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireIntent:
    """Why and since when a server is to go; only valid for the pod UID it names. Its deadlines never move."""

    uid: str
    since_s: float
    deadline_s: float  # of requests and sessions
    reason: str
    streams_deadline_s: float = 0.0  # of streams; earlier than the other: as the other

    @property
    def last_deadline_s(self) -> float:
        return max(self.deadline_s, self.streams_deadline_s)

    def dump(self) -> str:
        return json.dumps(
            {
                "uid": self.uid,
                "since": self.since_s,
                "deadline": self.deadline_s,
                "streamsDeadline": self.streams_deadline_s,
                "reason": self.reason,
            }
        )

    @staticmethod
    def load(text: str | None, uid: str) -> "RetireIntent | None":
        """None for no intent, somebody's malformed text, or an intent for another pod."""
        try:
            raw = json.loads(text or "null")
            intent = RetireIntent(
                uid=raw["uid"],
                since_s=float(raw["since"]),
                deadline_s=float(raw["deadline"]),
                streams_deadline_s=float(raw.get("streamsDeadline", 0.0)),
                reason=str(raw["reason"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return intent if intent.uid == uid else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    namespace: str
    name: str
    uid: str
    app: str  # namespace/name of the ElasticApp
    edition: str
    owner_uid: str | None
    node: str | None
    address: str | None
    phase: str
    created_s: float
    started: bool
    deleting: bool
    containers_ready: bool
    ready: bool
    gate: bool | None  # None: never set
    gate_since_s: float | None
    retire: RetireIntent | None
    deletion_cost: str | None
    decision: str | None = None  # the newest that changed it, as JSON
    gone_by_s: float | None = None  # when its grace period ends, once it is being deleted
    disrupted: bool = False  # somebody is about to end it: an eviction, a node that shuts down
    obstacle: Obstacle | None = None  # what keeps it from serving

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def leaving(self) -> bool:
        """Others end it: its process has a few seconds left (kube/template.py), no drain is waited for."""
        return self.deleting or self.disrupted

    def overdue(self, now_s: float) -> bool:
        """It should be gone by now: its node is dead, and nobody there confirms its end."""
        return self.gone_by_s is not None and now_s > self.gone_by_s + OVERDUE_S

    @property
    def finished(self) -> bool:
        return self.phase in ("Failed", "Succeeded")


def pod(raw: Mapping[str, Any]) -> Pod:
    meta, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    labels, annotations = meta.get("labels", {}), meta.get("annotations", {})
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    gate = conditions.get(GATE)

    def true(kind: str) -> bool:
        return bool(conditions.get(kind, {}).get("status") == "True")

    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        app=_key(meta, labels.get(LABEL_APP, "")),
        edition=labels.get(LABEL_EDITION, ""),
        owner_uid=next((o["uid"] for o in meta.get("ownerReferences") or () if o.get("controller")), None),
        node=spec.get("nodeName"),
        address=status.get("podIP"),
        phase=status.get("phase", "Pending"),
        created_s=_at(meta.get("creationTimestamp")) or 0.0,
        started=any("running" in (c.get("state") or {}) for c in containers),
        deleting="deletionTimestamp" in meta,
        containers_ready=true("ContainersReady"),
        ready=true("Ready"),
        gate=None if gate is None else gate["status"] == "True",
        gate_since_s=_at(gate.get("lastTransitionTime")) if gate else None,
        retire=RetireIntent.load(annotations.get(RETIRE_ANNOTATION), meta["uid"]),
        deletion_cost=annotations.get(DELETION_COST),
        decision=annotations.get(DECISION_ANNOTATION),
        gone_by_s=_at(meta.get("deletionTimestamp")),
        disrupted=true("DisruptionTarget"),
        obstacle=obstacle(raw),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSet:
    namespace: str
    name: str
    uid: str
    resource_version: str
    app: str
    edition: str
    owner_uid: str | None
    replicas: int
    generation: int
    observed_generation: int
    status_replicas: int
    ready_replicas: int
    victim_uid: str | None
    deleting: bool
    decision: str | None = None  # the newest that changed it, as JSON
    refusal: Refusal | None = None  # why the API server refuses it more pods

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def replicaset(raw: Mapping[str, Any]) -> ReplicaSet:
    meta, status = raw["metadata"], raw.get("status", {})
    labels, annotations = meta.get("labels", {}), meta.get("annotations", {})
    return ReplicaSet(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        app=_key(meta, labels.get(LABEL_APP, "")),
        edition=labels.get(LABEL_EDITION, ""),
        owner_uid=next((o["uid"] for o in meta.get("ownerReferences") or () if o.get("controller")), None),
        replicas=raw["spec"].get("replicas", 1),
        generation=meta.get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        status_replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
        victim_uid=annotations.get(VICTIM_ANNOTATION),
        deleting="deletionTimestamp" in meta,
        decision=annotations.get(DECISION_ANNOTATION),
        refusal=_refusal(status),
    )


def _refusal(status: Mapping[str, Any]) -> Refusal | None:
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") != "True" or failure.get("reason") != "FailedCreate":
        return None
    return refusal(str(failure.get("message") or ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    name: str
    labels: Mapping[str, str]
    ready: bool
    schedulable: bool

    def matches(self, selector: Mapping[str, str]) -> bool:
        return all(self.labels.get(k) == v for k, v in selector.items())


def node(raw: Mapping[str, Any]) -> Node:
    conditions = {c["type"]: c["status"] for c in raw.get("status", {}).get("conditions") or ()}
    return Node(
        name=raw["metadata"]["name"],
        labels=raw["metadata"].get("labels", {}),
        ready=conditions.get("Ready") == "True",
        schedulable=not raw.get("spec", {}).get("unschedulable", False),
    )


def custom(raw: dict[str, Any]) -> dict[str, Any]:
    """A custom resource as it is, without the managed fields that nobody reads."""
    raw["metadata"].pop("managedFields", None)
    return raw
