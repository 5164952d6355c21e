"""What is done to an app, change by change, and what it must come to each time."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millpond.control.observe import objects
from millpond.kube.raw import of_kind

from memory import made
from memory.cluster import Cluster
from memory.patches import Raw
from memory.routers import Traffic
from memory.server import Server

SILENT = 5  # cycles without a write, once it has come to what it must


@dataclass(frozen=True)
class Edit:
    """``servers``: by edition, those that serve in the end; ``phase``: of the rollout, if there was one."""

    spec: Mapping[str, Any]
    servers: Mapping[str, int]
    phase: str | None = None

    def apply(self, cluster: Cluster) -> None:
        made.apply(cluster.server, made.app(**self.spec))

    def reached(self, cluster: Cluster) -> bool:
        app = made.stored(cluster.server)
        status = app.get("status", {})
        rollout = status.get("rollout") or {}
        if status.get("observedGeneration") != app["metadata"]["generation"]:
            return False
        as_meant = rollout.get("phase") == self.phase if self.phase else True
        return as_meant and serving(cluster.server) == self.servers == told(app, self.servers)


@dataclass(frozen=True)
class Scenario:
    """``before`` is settled, undisturbed, when ``edits`` begin."""

    name: str
    before: tuple[Edit, ...]
    edits: tuple[Edit, ...]
    floor: int = 1
    errors: Mapping[str, float] = field(default_factory=dict)
    rps: float = 20.0

    async def prepared(self, cluster: Cluster) -> None:
        made.furnished(cluster.server)
        cluster.traffic[made.KEY] = Traffic(self.rps, dict(self.errors))
        cluster.start_operator()
        for edit in self.before:
            edit.apply(cluster)
            await settled(cluster, edit)
        cluster.promises.floor[made.KEY] = self.floor

    async def played(
        self, cluster: Cluster, since: int = 0, *, until: int | None = None, begun: bool = False
    ) -> None:
        """These edits, one after the other; the first one was ``begun`` already."""
        for number, edit in enumerate(self.edits[since:until]):
            if number or not begun:
                edit.apply(cluster)
            await settled(cluster, edit)


async def settled(cluster: Cluster, edit: Edit, most: int = 240) -> None:
    """It has come to what it must, and nobody writes any more."""
    await cluster.until(lambda: edit.reached(cluster), most, lambda: f"{edit.servers}, not {_shown(cluster)}")
    await cluster.until(silence(cluster), most, lambda: "nobody writes any more")


def silence(cluster: Cluster) -> Callable[[], bool]:
    seen = [cluster.server.version, 0]

    def silent() -> bool:
        seen[1] = seen[1] + 1 if cluster.server.version == seen[0] else 0
        seen[0] = cluster.server.version
        return seen[1] > SILENT and cluster.caught_up

    return silent


def serving(server: Server) -> dict[str, int]:
    """Servers by edition if all there are serve and nothing else is under way; else nothing."""
    pods = [objects.pod(raw) for raw in server.all("pods")]
    if any(p.deleting or p.retire is not None or not (p.gate and p.ready) for p in pods):
        return {}
    return dict(Counter(p.edition for p in pods))


def told(app: Raw, servers: Mapping[str, int]) -> Mapping[str, int]:
    count = sum(servers.values())
    found = app["status"].get("servers")
    exact = found == {"desired": count, "ready": count, "starting": 0, "draining": 0}
    return servers if exact else {}


def _shown(cluster: Cluster) -> str:
    status = made.stored(cluster.server).get("status", {})
    return f"{status.get('servers')} {status.get('rollout')}"


def end_state(server: Server) -> Raw:
    """What is there in the end, without names, times and the way that led there."""
    status = made.stored(server)["status"]
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    conditions.pop("SLAMet", None)
    rollout = {
        k: v for k, v in (status.get("rollout") or {}).items() if k in ("edition", "from", "phase", "weight")
    }
    return {
        "conditions": conditions,
        "rollout": rollout,
        **{k: status.get(k) for k in ("replicas", "servers", "edition", "goal", "observedGeneration")},
        **{
            kind: sorted(map(_shape, server.all(kind)), key=str)
            for kind in ("editions", "replicasets", "pods")
        },
        "claims": [{k: v for k, v in claim.items() if k != "since"} for claim in status["claims"]],
        "pools": [raw.get("status") for raw in server.all("dynamicpools")],
    }


def _shape(raw: Raw) -> Raw:
    meta, status = raw["metadata"], raw.get("status") or {}
    return {
        "labels": meta["labels"],
        "replicas": (raw["spec"].get("replicas"), status.get("replicas"), status.get("readyReplicas")),
        "state": status.get("state"),
        "gates": {t: c["status"] for t, c in of_kind(status.get("conditions")).items()},
        "annotations": sorted(
            set(meta.get("annotations") or {}) - {"millpond.dev/decision", "millpond.dev/victim"}
        ),
    }


def deeds(server: Server) -> Counter[tuple[str, str, str]]:
    """How many objects of each edition were created and deleted."""
    kinds = ("editions", "replicasets", "pods")
    changes = ((kind, change) for kind in kinds for change in server.history[kind])
    return Counter(
        (change.type, kind, change.raw["metadata"]["labels"]["millpond.dev/edition"])
        for kind, change in changes
        if change.type != "MODIFIED"
    )


def _manual(edition: str, replicas: int, **rollout: Any) -> Raw:
    return {"edition": edition, "replicas": replicas, "rollout": {"soak": "1s", **rollout}}


ONE, TWO = Edit(_manual("v1", 1), {"v1": 1}), Edit(_manual("v1", 2), {"v1": 2})
CANARY = {"strategy": "Canary", "steps": [{"weight": 25, "pause": "1s"}], "analysis": {"minRequests": 20}}


def _to_v2(**rollout: Any) -> Edit:
    return Edit(_manual("v2", 2, **rollout), {"v2": 2}, "Completed")


SCENARIOS = (
    Scenario("creation", (), (TWO,), floor=0),
    Scenario("retire", (TWO,), (ONE,)),
    Scenario("up and down", (ONE,), (Edit(_manual("v1", 3), {"v1": 3}), ONE)),
    Scenario("Rolling", (TWO,), (_to_v2(),), floor=2),
    Scenario("Atomic", (TWO,), (_to_v2(strategy="Atomic"),), floor=2),
    Scenario("BlueGreen", (TWO,), (_to_v2(strategy="BlueGreen"),), floor=2),
    Scenario("Canary", (TWO,), (_to_v2(**CANARY),), floor=2),
    Scenario(
        "rollback", (TWO,), (Edit(_manual("v2", 2), {"v1": 2}, "RolledBack"),), floor=2, errors={"v2": 1.0}
    ),
    Scenario("undo", (TWO, _to_v2()), (Edit(_manual("v1", 2), {"v1": 2}, "Completed"),), floor=2),
)
