"""Two tenants in memory, as the API server would give their objects, and the real cycle over them."""

from collections.abc import Mapping
from typing import Any, cast

from millpond.api.kinds import dynamicpool, elasticapp, slapolicy
from millpond.api.kinds.template import template_hash
from millpond.api.names import API_VERSION, GATE, LABEL_APP, LABEL_EDITION
from millpond.control.act.editions import new_edition, replicaset_object
from millpond.control.guard.faults import Faults
from millpond.control.observe.world import World
from millpond.control.outcome import Outcome
from millpond.control.resolve.candidates import ValidApp
from millpond.kube.cache import Reflector
from millpond.kube.client import Api
from millpond.router.config import AppRoutes

from memory.client import Client
from memory.clock import BORN, Clock
from memory.patches import Raw, copied
from memory.product import build
from memory.routers import Control, Router
from memory.server import Server

QUIET, NOISY = "quiet", "noisy"


class Routers(Control):
    """Every router has acknowledged everything, and reports nothing."""

    def __init__(self, clock: Clock) -> None:
        super().__init__([Router("r1", clock)], {}, clock)

    @property
    def apps(self) -> Mapping[str, AppRoutes]:
        return self.target

    def collect(self, now_s: float) -> Any:
        return None


class Tenants:
    """The cycle over two namespaces with one running app each, or over whatever ``load`` is given.

    No controller runs: what the cycle writes comes back to it by its own answers alone.
    """

    def __init__(self, patience_s: float = 10.0) -> None:
        clock = Clock(1_000.0)
        self.clock, self.memory, self.faults = clock, Server(clock), Faults()
        self.routers = Routers(clock)
        api = Client(self.memory)
        self.world = World(cast(Api, api), on_change=lambda: None)
        self.cycle = build(api, self.world, self.routers, clock, faults=self.faults, patience_s=patience_s)

    def load(self, objects: Mapping[str, Raw]) -> None:
        """What the watches tell: the objects by "resource/namespace/name"."""
        self.memory.load(objects)
        for resource, reflector in self.world.reflectors.items():
            _replace(reflector, [copied(raw) for raw in self.memory.all(resource)], self.memory.version)

    async def once(self) -> Outcome:
        self.clock.passed_s += 1.0
        return await self.cycle.once()

    def orders(self, namespace: str) -> list[int]:
        """How many servers its ReplicaSet was told to have, write by write."""
        sets = (body for _, key, body in self.memory.of(namespace) if key.startswith("replicasets/"))
        return [body["spec"]["replicas"] for body in sets if "replicas" in body.get("spec", {})]

    def lose(self, namespace: str, replicas: int) -> None:
        """Somebody else orders so many servers; the watch tells it."""
        key = f"replicasets/{namespace}/web-v1"
        raw = self.memory.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets/web-v1")
        self.memory.version += 1
        meta = {**raw["metadata"], "resourceVersion": str(self.memory.version)}
        self.memory.objects[key] = {**raw, "metadata": meta, "spec": {**raw["spec"], "replicas": replicas}}
        self.world.replicasets.store.own(copied(self.memory.objects[key]))


async def by_hand(*namespaces: str, replicas: int = 2, patience_s: float = 10.0, cycles: int = 4) -> Tenants:
    """One app in each, with so many servers by hand, after so many cycles: nothing is left to be written."""
    tenants = Tenants(patience_s=patience_s)
    objects = cluster(*namespaces)
    for namespace in namespaces:
        app = objects[f"elasticapps/{namespace}/web"]
        app["spec"] = {**app["spec"], "mode": "Manual", "replicas": replicas}
    tenants.load(objects)
    for _ in range(cycles):
        await tenants.once()
    tenants.memory.writes.clear()
    return tenants


def _replace(reflector: Reflector[Any], kept: list[Raw], version: int) -> None:
    reflector.store.replace(list(reflector.store.trimmed(kept)), version)


def cluster(*namespaces: str) -> dict[str, Raw]:
    """One app with a serving and a pending server in each namespace."""
    found = {
        "slapolicies//gold": _policy(),
        "dynamicpools//default": _pool(),
        "nodes//n1": {
            **_object("Node", "n1"),
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
    }
    for number, namespace in enumerate(namespaces):
        app = _app(namespace)
        edition = _edition(app)
        owned = _replicaset(app, edition)
        found |= {f"elasticapps/{namespace}/web": app, f"editions/{namespace}/web-v1": edition}
        found |= {f"replicasets/{namespace}/web-v1": owned}
        for letter in "ab":
            found[f"pods/{namespace}/web-v1-{letter}"] = _pod(owned, letter, f"10.0.{number}.{ord(letter)}")
    return found


def _object(kind: str, name: str, namespace: str | None = None, **spec: Any) -> Raw:
    meta = {
        "name": name,
        "uid": f"{kind}-{namespace}-{name}",
        "resourceVersion": "100",
        "creationTimestamp": BORN,
    }
    meta |= {"namespace": namespace, "generation": 1} if namespace else {}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec}


def _app(namespace: str) -> Raw:
    container = {"name": "app", "image": "sample", "resources": {"requests": {"cpu": "100m"}}}
    return _object(
        "ElasticApp",
        "web",
        namespace,
        pool="default",
        sla={"policy": "gold"},
        servers={"min": 2, "max": 4},
        edition="v1",
        port=8080,
        routes=[{"host": f"web.{namespace}.test"}],
        template={"spec": {"containers": [container]}},
    )


def _policy() -> Raw:
    return _object("SLAPolicy", "gold", goal={"type": "averageResponseTime", "target": "300ms"})


def _pool() -> Raw:
    return _object("DynamicPool", "default", nodeSelector={"pool": "default"})


def candidate(app: Raw) -> ValidApp:
    return ValidApp(
        key=f"{app['metadata']['namespace']}/web",
        raw=app,
        spec=elasticapp.parse(app),
        policy=slapolicy.parse(_policy()),
        pool=dynamicpool.parse(_pool()),
    )


def _edition(app: Raw) -> Raw:
    found = candidate(app)
    made = new_edition(found, template_hash(app["spec"]["template"]))
    made["metadata"] |= {
        "uid": f"edition-{found.namespace}",
        "resourceVersion": "100",
        "creationTimestamp": BORN,
    }
    return {**made, "status": {"state": "Active", "replicas": 2}}


def _replicaset(app: Raw, edition: Raw) -> Raw:
    found = candidate(app)
    made = replicaset_object(found, edition, serves=True)
    made["metadata"] |= {
        "uid": f"set-{found.namespace}",
        "resourceVersion": "100",
        "generation": 1,
        "annotations": {},
    }
    return {**made, "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 1}}


def _pod(owner: Raw, letter: str, address: str) -> Raw:
    meta = owner["metadata"]
    name = f"{meta['name']}-{letter}"
    true = (
        ("PodScheduled", "ContainersReady", "Ready", GATE)
        if letter == "a"
        else ("PodScheduled", "ContainersReady")
    )
    return {
        "metadata": {
            "namespace": meta["namespace"],
            "name": name,
            "uid": f"pod-{meta['namespace']}-{letter}",
            "resourceVersion": "100",
            "creationTimestamp": BORN,
            "labels": {k: meta["labels"][k] for k in (LABEL_APP, LABEL_EDITION)},
            "annotations": {},
            "ownerReferences": [{"uid": meta["uid"], "controller": True}],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "sample"}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": c, "status": "True", "lastTransitionTime": BORN} for c in true],
            "containerStatuses": [{"name": "app", "state": {"running": {}}, "ready": True}],
        },
    }
