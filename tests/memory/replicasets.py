"""The ReplicaSet controller: what it knows of pods and of ReplicaSets comes through two caches that may lag apart.

As in Kubernetes: it acts only when its cache has shown what it did before (expectations), removes in a fixed order
(unscheduled, Pending, not ready, lowest deletion cost, crowded node, youngest), and counts by what it knows.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from millpond.clock import from_rfc3339
from millpond.control.observe.objects import DELETION_COST
from millpond.kube import paths
from millpond.kube.errors import NotFound
from millpond.kube.raw import of_kind

from memory.patches import Raw, copied
from memory.server import Server
from memory.watches import Cache


def _nobody(pod: Raw) -> None:
    pass


@dataclass
class Expected:
    """What the pod cache has not shown yet."""

    creations: int = 0
    deletions: set[str] = field(default_factory=set)

    @property
    def met(self) -> bool:
        return self.creations <= 0 and not self.deletions


@dataclass
class ReplicaSets:
    server: Server
    on_delete: Callable[[Raw], None] = _nobody
    """Told of each pod right before it is deleted."""
    pods: Cache = field(init=False)
    sets: Cache = field(init=False)
    expected: dict[str, Expected] = field(default_factory=dict)  # by the set's UID
    named: Counter[str] = field(default_factory=Counter)  # pods that a set has made
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # UID -> versions that were acted on

    def __post_init__(self) -> None:
        self.pods, self.sets = Cache(self.server, "pods"), Cache(self.server, "replicasets")

    def fork(self, server: Server) -> "ReplicaSets":
        made = ReplicaSets(server)
        made.pods, made.sets = self.pods.fork(server), self.sets.fork(server)
        made.expected = {u: Expected(e.creations, set(e.deletions)) for u, e in self.expected.items()}
        made.named, made.seen = Counter(self.named), dict(self.seen)
        return made

    def step(self) -> None:
        """Take in what has come, and see to every set."""
        self.hear()
        for owned in list(self.sets.items.values()):
            self.sync(owned)

    def hear(self, pods: int | None = None, sets: int | None = None) -> None:
        """So many changes of each; None: as far as they lag."""
        for what, raw in self.pods.deliver(pods):
            self._observe(what, raw)
        self.sets.deliver(sets)

    def _observe(self, what: str, pod: Raw) -> None:
        expected = self.expected.get(_owner(pod) or "")
        if expected is None:
            return
        if what == "ADDED":
            expected.creations -= 1
        if what == "DELETED" or "deletionTimestamp" in pod["metadata"]:
            expected.deletions.discard(pod["metadata"]["uid"])

    def sync(self, owned: Raw) -> None:
        uid = owned["metadata"]["uid"]
        seen = (self.pods.told, self.sets.told)
        if self.seen.get(uid) == seen:
            return
        self.seen[uid] = seen
        active = [p for p in self.pods.items.values() if _owner(p) == uid and is_active(p)]
        if self.expected.setdefault(uid, Expected()).met and "deletionTimestamp" not in owned["metadata"]:
            self._manage(owned, active)
        self._count(owned, active)

    def _manage(self, owned: Raw, active: list[Raw]) -> None:
        missing = owned["spec"].get("replicas", 1) - len(active)
        expected = self.expected[owned["metadata"]["uid"]]
        for _ in range(missing):
            expected.creations += 1
            self._make(owned)
        if missing < 0:
            for victim in victims(active, -missing):
                expected.deletions.add(victim["metadata"]["uid"])
                self._delete(victim)

    def _make(self, owned: Raw) -> None:
        meta, template = owned["metadata"], copied(owned["spec"]["template"])
        self.named[meta["uid"]] += 1
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": meta["name"], "uid": meta["uid"]}
        name = f"{meta['name']}-{self.named[meta['uid']]:05}"
        body = {
            "metadata": {
                **template.get("metadata", {}),
                "name": name,
                "ownerReferences": [{**reference, "controller": True}],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending", "conditions": []},
        }
        self.server.create(paths.pods(meta["namespace"]), body)

    def _delete(self, pod: Raw) -> None:
        meta = pod["metadata"]
        try:
            self.on_delete(self.server.get(paths.pods(meta["namespace"], meta["name"])))
            self.server.delete(paths.pods(meta["namespace"], meta["name"]), uid=meta["uid"])
        except NotFound:
            self.expected[_owner(pod) or ""].deletions.discard(meta["uid"])

    def _count(self, owned: Raw, active: list[Raw]) -> None:
        meta = owned["metadata"]
        status = {
            "replicas": len(active),
            "readyReplicas": sum(map(is_ready, active)),
            "observedGeneration": meta["generation"],
        }
        try:
            self.server.patch(
                paths.replicasets(meta["namespace"], meta["name"], "status"), {"status": status}
            )
        except NotFound:
            pass


def victims(active: list[Raw], count: int) -> list[Raw]:
    on_node = Counter(p["spec"].get("nodeName") for p in active)
    return sorted(active, key=lambda pod: _reluctance(pod, on_node[pod["spec"].get("nodeName")]))[:count]


def _reluctance(pod: Raw, on_node: int) -> tuple[Any, ...]:
    phases = {"Pending": 0, "Unknown": 1}
    annotations = pod["metadata"].get("annotations") or {}
    ready = of_kind(pod["status"].get("conditions")).get("Ready", {})
    return (
        bool(pod["spec"].get("nodeName")),
        phases.get(pod["status"]["phase"], 2),
        is_ready(pod),
        int(annotations.get(DELETION_COST, "0")),
        -on_node,
        -from_rfc3339(ready["lastTransitionTime"]) if is_ready(pod) else 0.0,
        -from_rfc3339(pod["metadata"]["creationTimestamp"]),
    )


def is_active(pod: Raw) -> bool:
    finished = pod["status"]["phase"] in ("Failed", "Succeeded")
    return not finished and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Raw) -> bool:
    return bool(of_kind(pod["status"].get("conditions")).get("Ready", {}).get("status") == "True")


def _owner(raw: Raw) -> str | None:
    owners = raw["metadata"].get("ownerReferences") or ()
    return next((str(o["uid"]) for o in owners if o.get("controller")), None)
