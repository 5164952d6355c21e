"""What keeps an edition's servers from coming, found once for conditions, rollouts and events. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from millpond.control.observe.objects import Pod
from millpond.control.observe.world import Holdings
from millpond_policies.reasons import Reason

PATIENCE_S = 60.0  # so long a node may take to make the containers of a pod before somebody should look
_NO_PLACE = (Reason.SERVERS_UNSCHEDULABLE, Reason.VOLUME_NOT_BOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """``reason`` None: it just takes its time so far."""

    reason: Reason | None
    message: str


def trouble(holdings: Holdings, edition: str, now_s: float) -> Trouble | None:
    """The worst of an edition, by pod names among equals, so that it stays the same while nothing changes."""
    pods = (_of_pod(pod, now_s) for pod in sorted(holdings.pods_of(edition), key=lambda p: p.name))
    found = [t for t in (_refused(holdings, edition), *pods) if t is not None]
    return min(found, key=lambda t: t.reason is None, default=None)


def worst(found: Mapping[str, Trouble], sets: Iterable[str], serving: str) -> Trouble | None:
    """Of the edition that serves, else of another one with a ReplicaSet. ``found``: by edition."""
    names = (serving, *sorted(set(sets) - {serving}))
    there = [found[name] for name in names if name in found]
    return min(there, key=lambda t: t.reason is None, default=None)


def limiting(found: Mapping[str, Trouble], holdings: Holdings, editions: Iterable[str]) -> Trouble | None:
    """Why fewer servers come than are ordered, although nothing is wrong with the application itself.

    ``found``: by edition.
    """
    editions = tuple(editions)
    refused = (_refused(holdings, name) for name in editions)
    there = (found[name] for name in editions if name in found and found[name].reason in _NO_PLACE)
    return next((t for t in (*refused, *there) if t is not None), None)


def refused(holdings: Holdings, edition: str) -> bool:
    """The API server refuses more pods of this edition, and fewer are there than are ordered."""
    return _refused(holdings, edition) is not None


def _refused(holdings: Holdings, edition: str) -> Trouble | None:
    owned = holdings.sets.get(edition)
    if owned is None or owned.refusal is None or owned.status_replicas >= owned.replicas:
        return None
    text = f"ReplicaSet {owned.name} gets no more pods: {owned.refusal.message}"
    return Trouble(reason=owned.refusal.reason, message=text)


def _of_pod(pod: Pod, now_s: float) -> Trouble | None:
    found = pod.obstacle
    if found is None or pod.leaving or pod.retire is not None:
        return None
    slow = found.creating and now_s - pod.created_s > PATIENCE_S
    reason = Reason.CONTAINERS_NOT_CREATED if slow else found.reason
    return Trouble(reason=reason, message=f"pod {pod.name}: {found.text}")
