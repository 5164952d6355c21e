"""What the cycle keeps of each Kubernetes object: small frozen values, read once when the object changes.

Readers are total: whatever a tenant wrote into a field or an annotation, there is a value or nothing, never an error.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millpond.api.names import GATE, LABEL_APP, LABEL_EDITION, RETIRE_ANNOTATION
from millpond.clock import from_rfc3339
from millpond.control.observe.constraints import constraints
from millpond.control.observe.requests import requests
from millpond.control.obstacles.obstacles import Obstacle, obstacle
from millpond.control.obstacles.refusals import Refusal, refusal
from millpond.kube.decode import shallow
from millpond.kube.raw import entries, fields, number, of_kind, text
from millpond_policies.world.constraints import Constraints, Resources

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
VICTIM_ANNOTATION = (
    "millpond.dev/victim"  # on a ReplicaSet: the pod UID that its last decrement was meant for
)
DECISION_ANNOTATION = "millpond.dev/decision"  # on what a decision changed, in the same write: why

OVERDUE_S = 30.0
LONGEST_TEXT = (
    16_384  # characters of an annotation of ours; longer ones are somebody else's, and are not read
)
_END_OF_CALENDAR_S = 253_402_300_799.0


def _at(moment: Any) -> float | None:
    try:
        return from_rfc3339(moment) if moment else None
    except (ValueError, TypeError, OverflowError):
        return None


def _second(value: Any) -> float:
    """Seconds since the epoch; raises ValueError, TypeError or OverflowError for what no calendar has."""
    at_s = float(value)
    if not (math.isfinite(at_s) and 0 <= at_s <= _END_OF_CALENDAR_S):
        raise ValueError(value)
    return at_s


def _ours(annotations: Mapping[str, Any], name: str) -> str | None:
    found = text(annotations.get(name))
    return found if found is not None and len(found) <= LONGEST_TEXT else None


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
    def load(said: str | None, uid: str) -> "RetireIntent | None":
        """None for no intent, somebody's malformed text, or an intent for another pod."""
        if said is None or len(said) > LONGEST_TEXT:
            return None
        try:
            raw = json.loads(said)
            intent = RetireIntent(
                uid=raw["uid"],
                since_s=_second(raw["since"]),
                deadline_s=_second(raw["deadline"]),
                streams_deadline_s=_second(raw.get("streamsDeadline", 0.0)),
                reason=str(raw["reason"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
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
    requests: Resources | None = None  # of its node; None: they cannot be read

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def serving(self) -> bool:
        """Its containers are ready, its gate says that every router sends to it, and nothing takes that back."""
        return self.containers_ready and bool(self.gate) and not (self.retiring or self.finished)

    @property
    def retiring(self) -> bool:
        """It is a victim, or its end has begun."""
        return self.retire is not None or self.deleting

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
    meta, spec, status = raw["metadata"], fields(raw.get("spec")), fields(raw.get("status"))
    labels, annotations = fields(meta.get("labels")), fields(meta.get("annotations"))
    conditions = of_kind(status.get("conditions"))
    gate = conditions.get(GATE)

    def true(kind: str) -> bool:
        return bool(conditions.get(kind, {}).get("status") == "True")

    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        app=_key(meta, text(labels.get(LABEL_APP)) or ""),
        edition=text(labels.get(LABEL_EDITION)) or "",
        owner_uid=controller(meta),
        node=text(spec.get("nodeName")),
        address=text(status.get("podIP")),
        phase=text(status.get("phase")) or "Pending",
        created_s=_at(meta.get("creationTimestamp")) or 0.0,
        started=any("running" in fields(c.get("state")) for c in entries(status.get("containerStatuses"))),
        deleting="deletionTimestamp" in meta,
        containers_ready=true("ContainersReady"),
        ready=true("Ready"),
        gate=None if gate is None else gate.get("status") == "True",
        gate_since_s=_at(gate.get("lastTransitionTime")) if gate else None,
        retire=RetireIntent.load(_ours(annotations, RETIRE_ANNOTATION), meta["uid"]),
        deletion_cost=_ours(annotations, DELETION_COST),
        decision=_ours(annotations, DECISION_ANNOTATION),
        gone_by_s=_at(meta.get("deletionTimestamp")),
        disrupted=true("DisruptionTarget"),
        obstacle=_obstacle(raw),
        requests=requests(spec, status),
    )


def controller(meta: Mapping[str, Any]) -> str | None:
    """The UID of the owner that sees to an object."""
    owners = (o for o in entries(meta.get("ownerReferences")) if o.get("controller"))
    return next((text(o.get("uid")) for o in owners), None)


def _obstacle(raw: Mapping[str, Any]) -> Obstacle | None:
    try:
        return obstacle(raw)
    except (ValueError, TypeError, KeyError, AttributeError):  # no pod that a node reported looks like this
        return None


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
    requests: Resources | None = None  # of each pod that it makes; None: they cannot be read
    constraints: Constraints = field(default_factory=Constraints)  # where these may run

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def replicaset(raw: Mapping[str, Any]) -> ReplicaSet:
    meta, spec, status = raw["metadata"], fields(raw.get("spec")), fields(raw.get("status"))
    labels, annotations = fields(meta.get("labels")), fields(meta.get("annotations"))
    template = fields(fields(spec.get("template")).get("spec"))
    return ReplicaSet(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        app=_key(meta, text(labels.get(LABEL_APP)) or ""),
        edition=text(labels.get(LABEL_EDITION)) or "",
        owner_uid=controller(meta),
        replicas=number(spec.get("replicas"), 1),
        generation=number(meta.get("generation")),
        observed_generation=number(status.get("observedGeneration")),
        status_replicas=number(status.get("replicas")),
        ready_replicas=number(status.get("readyReplicas")),
        victim_uid=_ours(annotations, VICTIM_ANNOTATION),
        deleting="deletionTimestamp" in meta,
        decision=_ours(annotations, DECISION_ANNOTATION),
        refusal=_refusal(status),
        requests=requests(template),
        constraints=constraints(template),
    )


def _refusal(status: Mapping[str, Any]) -> Refusal | None:
    failure = of_kind(status.get("conditions")).get("ReplicaFailure", {})
    if failure.get("status") != "True" or failure.get("reason") != "FailedCreate":
        return None
    return refusal(str(failure.get("message") or ""))


def custom(raw: dict[str, Any]) -> dict[str, Any]:
    """A custom resource as it is, without the managed fields that nobody reads, and no deeper than anybody can read."""
    raw["metadata"].pop("managedFields", None)
    kept: dict[str, Any] = shallow(raw)
    return kept
