"""Retiring one server, the one mechanism behind every removal. Each step is derived from what is observed.

intent with the pod's UID and the lowest deletion cost -> readiness gate False -> draining endpoint acknowledged by
every router that may serve -> in-flight zero on two fresh collections, or the deadline -> the ReplicaSet counts the
victim unready -> replicas - 1, naming the victim in the same write -> verify who died.

The order is due to the ReplicaSet controller: it reads pods and ReplicaSets through separate caches, and removes
unscheduled and Pending pods before any victim, whatever the deletion cost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from millpond.api.names import RETIRE_ANNOTATION
from millpond.clock import Clock
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.objects import (
    DECISION_ANNOTATION,
    DELETION_COST,
    VICTIM_ANNOTATION,
    Pod,
    ReplicaSet,
    RetireIntent,
)
from millpond.kube.world import World

LOWEST_COST = "-2147483647"


class Step(StrEnum):
    """What a retiring server is waiting for."""

    GATE = "waits for its readiness gate to close"
    ROUTERS = "waits for every router to acknowledge"
    REQUESTS = "finishes its requests"
    REPLICASET = "waits for the ReplicaSet to count it unready"
    STARTING = "waits for starting servers, which would be removed in its place"
    REMOVE = "can be removed"
    DELETION = "is being removed"


@dataclass(slots=True)
class Quiet:
    """How often in a row a draining server was seen without requests, on collections later than the acknowledgement."""

    zero_at_s: list[float] = field(default_factory=list)
    seen_busy: int | None = None

    def saw(self, in_flight: int | None, at_s: float) -> None:
        if in_flight is None:
            return
        self.seen_busy = in_flight
        if in_flight:
            self.zero_at_s.clear()
        elif at_s not in self.zero_at_s:
            self.zero_at_s = [*self.zero_at_s[-1:], at_s]

    @property
    def is_quiet(self) -> bool:
        return len(self.zero_at_s) >= 2


def next_step(
    pod: Pod, owned: ReplicaSet, siblings: Iterable[Pod], *, acknowledged: bool, quiet: bool, now_s: float
) -> Step:
    """What stands between this victim and its end; `siblings` are all pods of the same ReplicaSet."""
    assert pod.retire is not None
    if owned.victim_uid == pod.uid:
        return Step.DELETION
    others = [p for p in siblings if p.uid != pod.uid and not p.deleting and not p.finished]
    if pod.gate or pod.ready:
        return Step.GATE
    if not acknowledged:
        return Step.ROUTERS
    if not quiet and now_s < pod.retire.deadline_s:
        return Step.REQUESTS
    if any(p.node is None or p.phase == "Pending" for p in others):
        return Step.STARTING
    ready = sum(p.ready for p in others)
    if owned.observed_generation < owned.generation or owned.ready_replicas > ready:
        return Step.REPLICASET
    return Step.REMOVE


def wrong_one_died(pod: Pod, owned: ReplicaSet, siblings: Iterable[Pod]) -> Pod | None:
    """The pod that is being deleted although the last decrement named `pod`; None while all is as meant."""
    if owned.victim_uid != pod.uid or pod.deleting:
        return None
    if owned.observed_generation < owned.generation or owned.status_replicas > owned.replicas:
        return None
    return next((p for p in siblings if p.deleting and p.uid != pod.uid), None)


async def begin(
    api: Api, world: World, pod: Pod, *, reason: str, timeout_s: float, clock: Clock, decision: str
) -> None:
    """Persist the intent, for this UID only, together with the lowest deletion cost and the decision behind it."""
    now_s = clock()
    intent = RetireIntent(uid=pod.uid, since_s=now_s, deadline_s=now_s + timeout_s, reason=reason)
    annotations = {
        RETIRE_ANNOTATION: intent.dump(),
        DELETION_COST: LOWEST_COST,
        DECISION_ANNOTATION: decision,
    }
    await _annotate(api, world, pod, annotations)


async def cancel(api: Api, world: World, pod: Pod, decision: str | None = None) -> None:
    """Let a draining server serve again. Only right while its removal has not been ordered."""
    annotations = {RETIRE_ANNOTATION: None, DELETION_COST: None, DECISION_ANNOTATION: decision}
    await _annotate(api, world, pod, annotations)


async def _annotate(api: Api, world: World, pod: Pod, annotations: Mapping[str, str | None]) -> None:
    body = {"metadata": {"uid": pod.uid, "annotations": annotations}}
    world.pods.store.own(await api.patch(paths.pods(pod.namespace, pod.name), body, kind="merge"))


async def remove(api: Api, world: World, pod: Pod, owned: ReplicaSet) -> None:
    """replicas - 1, once: the write holds only for the ReplicaSet version that was looked at, and names the victim."""
    body = {
        "metadata": {
            "uid": owned.uid,
            "resourceVersion": owned.resource_version,
            "annotations": {VICTIM_ANNOTATION: pod.uid},
        },
        "spec": {"replicas": owned.replicas - 1},
    }
    world.replicasets.store.own(
        await api.patch(paths.replicasets(owned.namespace, owned.name), body, kind="merge")
    )
