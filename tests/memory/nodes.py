"""What happens to pods on nodes: they are bound, start, become ready when their gates allow it, and end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from millpond.clock import from_rfc3339, rfc3339
from millpond.kube import paths
from millpond.kube.errors import NotFound
from millpond.kube.raw import of_kind

from memory.patches import Raw
from memory.server import Server
from memory.watches import Cache


@dataclass
class Nodes:
    """Scheduler and kubelets in one. ``start_s``: from the binding until containers are ready; ``end_s``: of a deleted
    pod until it is gone."""

    server: Server
    start_s: float = 1.0
    end_s: float = 1.0
    pods: Cache = field(init=False)
    addresses: int = 0
    times_s: dict[str, float] = field(default_factory=dict)  # pod UID -> when it was bound

    def __post_init__(self) -> None:
        self.pods = Cache(self.server, "pods")

    def fork(self, server: Server) -> "Nodes":
        made = Nodes(server, self.start_s, self.end_s)
        made.pods, made.addresses, made.times_s = self.pods.fork(server), self.addresses, dict(self.times_s)
        return made

    def step(self) -> None:
        self.pods.deliver()
        for pod in list(self.pods.items.values()):
            try:
                self._see_to(pod)
            except NotFound:
                pass

    def _see_to(self, pod: Raw) -> None:
        meta, now_s = pod["metadata"], self.server.clock()
        if "deletionTimestamp" in meta:
            ends_s = from_rfc3339(meta["deletionTimestamp"]) - self._grace_s(pod) + self.end_s
            if now_s >= ends_s:
                self.server.delete(paths.pods(meta["namespace"], meta["name"]), at_once=True)
        elif not pod["spec"].get("nodeName"):
            self._bind(pod)
        elif pod["status"]["phase"] == "Pending":
            if now_s - self.times_s.get(meta["uid"], now_s) >= self.start_s:
                self._run(pod)
        else:
            self._judge(pod)

    @staticmethod
    def _grace_s(pod: Raw) -> float:
        return float(pod["spec"].get("terminationGracePeriodSeconds", 30))

    def _bind(self, pod: Raw) -> None:
        there = self.server.all("pods")
        nodes = [n["metadata"]["name"] for n in self._fitting(pod)]
        if not nodes:
            return
        crowd = {name: sum(p["spec"].get("nodeName") == name for p in there) for name in nodes}
        node = min(nodes, key=lambda name: (crowd[name], name))
        self.times_s[pod["metadata"]["uid"]] = self.server.clock()
        meta = pod["metadata"]
        self.server.patch(paths.pods(meta["namespace"], meta["name"]), {"spec": {"nodeName": node}})
        self._tell(pod, {"PodScheduled": True})

    def _fitting(self, pod: Raw) -> Iterator[Raw]:
        wanted = (pod["spec"].get("nodeSelector") or {}).items()
        for node in self.server.all("nodes"):
            if wanted <= (node["metadata"].get("labels") or {}).items():
                yield node

    def _run(self, pod: Raw) -> None:
        self.addresses += 1
        containers = [
            {"name": c["name"], "state": {"running": {}}, "ready": True} for c in pod["spec"]["containers"]
        ]
        address = f"10.0.{self.addresses // 250}.{self.addresses % 250 + 1}"
        status = {"phase": "Running", "podIP": address, "containerStatuses": containers}
        meta = pod["metadata"]
        self.server.patch(paths.pods(meta["namespace"], meta["name"], "status"), {"status": status})
        self._tell(pod, {"ContainersReady": True, "Ready": not pod["spec"].get("readinessGates")})

    def _judge(self, pod: Raw) -> None:
        """Ready: its containers are, and every gate is open."""
        conditions = of_kind(pod["status"].get("conditions"))
        gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or ()]
        ready = all(conditions.get(c, {}).get("status") == "True" for c in ("ContainersReady", *gates))
        if ready != (conditions.get("Ready", {}).get("status") == "True"):
            self._tell(pod, {"Ready": ready})

    def _tell(self, pod: Raw, news: dict[str, bool]) -> None:
        now = rfc3339(self.server.clock())
        found = [{"type": t, "status": str(v), "lastTransitionTime": now} for t, v in news.items()]
        meta = pod["metadata"]
        path = paths.pods(meta["namespace"], meta["name"], "status")
        self.server.patch(path, {"status": {"conditions": found}}, kind="strategic")


@dataclass
class Garbage:
    """Deletes what has lost all its owners."""

    server: Server

    def step(self) -> None:
        uids = {raw["metadata"]["uid"] for raw in self.server.objects.values()}
        for key, raw in list(self.server.objects.items()):
            owners = raw["metadata"].get("ownerReferences")
            if not owners or any(o["uid"] in uids for o in owners) or "deletionTimestamp" in raw["metadata"]:
                continue
            resource, namespace, name = key.split("/")
            path = _PATHS[resource](namespace, name)
            self.server.delete(path, uid=raw["metadata"]["uid"])


_PATHS = {"pods": paths.pods, "replicasets": paths.replicasets, "editions": paths.editions}
