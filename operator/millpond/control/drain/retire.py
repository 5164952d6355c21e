"""Retiring one server, the one mechanism behind every removal. Each step is derived from what is observed.

intent with the pod's UID and the lowest deletion cost -> readiness gate False -> draining endpoint acknowledged by
every router that may serve -> in-flight zero on two fresh answers of every router, or the deadline -> the ReplicaSet
counts the victim unready -> replicas - 1, naming the victim in the same write -> verify who died.

The order is due to the ReplicaSet controller: it reads pods and ReplicaSets through separate caches, and removes
unscheduled and Pending pods before any victim, whatever the deletion cost. That it counts the victim unready proves
that it also knows the cost, which was written before. Of several victims the one named first has the lowest cost and
goes first: a cost that is written later proves nothing.

A decrement of replicas passes no PodDisruptionBudget: only the eviction API asks those. What holds instead is the
floor (`servers.min`), one victim at a time per app (in a rollout its group size), and replacements before removals.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from millpond.api.kinds.elasticapp import Drain
from millpond.api.names import RETIRE_ANNOTATION
from millpond.clock import Clock
from millpond.control.observe.objects import (
    DECISION_ANNOTATION,
    DELETION_COST,
    VICTIM_ANNOTATION,
    Pod,
    ReplicaSet,
    RetireIntent,
)
from millpond.control.observe.world import World
from millpond.kube import paths
from millpond.kube.client import Api

LOWEST_COST = -2147483647
COMES_BACK_S = 30.0  # the node notices an open gate long before


class RetireStep(StrEnum):
    """What a retiring server is waiting for."""

    GATE = "waits for its readiness gate to close"
    ROUTERS = "waits for every router to acknowledge"
    REQUESTS = "finishes its requests"
    SESSIONS = "waits for its sessions to end"
    STREAMS = "finishes its streams"
    STARTING = "waits for starting servers, which would be removed in its place"
    TURN = "waits for a victim that was named before it"
    REPLICASET = "waits for the ReplicaSet to count it unready"
    REMOVE = "can be removed"
    DELETION = "is being removed"


def next_step(
    pod: Pod,
    owned: ReplicaSet,
    siblings: Iterable[Pod],
    *,
    acknowledged: bool,
    busy: RetireStep | None,
    now_s: float,
) -> RetireStep:
    """What stands between this victim and its end.

    ``siblings`` are all pods of the same ReplicaSet; ``busy``: what the victim has not finished (`Quiet.busy`).
    """
    assert pod.retire is not None
    if owned.victim_uid == pod.uid:
        return RetireStep.DELETION
    others = [p for p in siblings if p.uid != pod.uid and not p.deleting and not p.finished]
    if pod.gate or pod.ready:
        return RetireStep.GATE
    if not acknowledged:
        return RetireStep.ROUTERS
    if busy is not None:
        return busy
    if any(p.node is None or p.phase == "Pending" for p in others):
        return RetireStep.STARTING
    if any(p.retire is not None and cost(p) < cost(pod) for p in others):
        return RetireStep.TURN
    ready = sum(p.ready for p in others)
    behind = owned.observed_generation < owned.generation or owned.ready_replicas != ready
    if behind or any(_comes_back(p, now_s) for p in others):
        return RetireStep.REPLICASET
    return RetireStep.REMOVE


def _comes_back(pod: Pod, now_s: float) -> bool:
    """Its retirement was just cancelled: until it is counted ready, the ReplicaSet may still know its low cost."""
    if pod.retire is not None or pod.ready or pod.gate is None or not pod.containers_ready:
        return False
    return not pod.gate or now_s - (pod.gate_since_s or 0.0) < COMES_BACK_S


def cost(pod: Pod) -> int:
    """Its deletion cost; 0, Kubernetes' default, when there is none or it is no number."""
    try:
        return int(pod.deletion_cost or "0")
    except ValueError:
        return 0


def wrong_one_died(pod: Pod, owned: ReplicaSet, siblings: Iterable[Pod]) -> Pod | None:
    """The pod that is being deleted although the last decrement named `pod`; None while all is as meant."""
    if not order_is_void(pod, owned, siblings):
        return None
    return next((p for p in siblings if p.deleting and p.uid != pod.uid), None)


def order_is_void(pod: Pod, owned: ReplicaSet, siblings: Iterable[Pod]) -> bool:
    """Whether the ReplicaSet has what it wants while the pod that it was to remove lives on."""
    if owned.victim_uid != pod.uid or pod.deleting:
        return False
    if owned.observed_generation < owned.generation or owned.status_replicas > owned.replicas:
        return False
    return sum(not p.deleting and not p.finished for p in siblings) <= owned.replicas


async def begin(
    api: Api,
    world: World,
    pod: Pod,
    siblings: Iterable[Pod],
    *,
    reason: str,
    drain: Drain,
    clock: Clock,
    decision: str,
) -> None:
    """Persist the intent, for this UID only, together with its deletion cost and the decision behind it."""
    now_s = clock()
    intent = RetireIntent(
        uid=pod.uid,
        since_s=now_s,
        deadline_s=now_s + drain.timeout_s,
        streams_deadline_s=now_s + drain.stream_timeout_s,
        reason=reason,
    )
    annotations = {
        RETIRE_ANNOTATION: intent.dump(),
        DELETION_COST: str(next_cost(siblings)),
        DECISION_ANNOTATION: decision,
    }
    await _annotate(api, world, pod, annotations)


def next_cost(siblings: Iterable[Pod]) -> int:
    """Lower than any server that stays, higher than the victims that were named before."""
    named = [cost(p) for p in siblings if p.retire is not None and cost(p) < 0]
    return max(named, default=LOWEST_COST - 1) + 1


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
