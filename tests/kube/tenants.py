"""Two tenants in memory, as the API server would give their objects, and the real cycle over them.

`Memory` is the API server as far as the cycle needs it: it stores, merges, refuses with Conflict, and hangs where told.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from millpond.api import elasticapp
from millpond.api.names import API_VERSION, GATE, LABEL_APP, LABEL_EDITION
from millpond.api.template import template_hash
from millpond.control.act.apply import Hands
from millpond.control.act.editions import Editions, new_edition, replicaset_object
from millpond.control.cycle import Cycle
from millpond.control.drain.drains import Drains
from millpond.control.guard.each import Each
from millpond.control.guard.faults import Faults
from millpond.control.learn.learner import Learner
from millpond.control.observe.world import World
from millpond.control.report.writer import Writer
from millpond.control.resolve.candidates import Candidate
from millpond.kube.cache import Reflector
from millpond.kube.client import Api
from millpond.kube.errors import Conflict
from millpond.kube.events import Events
from millpond.router.config import AppRoutes
from millpond.router.xds.control import Published, RouterControl

Raw = dict[str, Any]
BORN, BORN_S = "2026-01-01T00:00:00Z", 1767225600.0
QUIET, NOISY = "quiet", "noisy"
_LOADED = ("elasticapps", "slapolicies", "dynamicpools", "editions", "replicasets", "pods", "nodes")


@dataclass
class Memory:
    """Objects by "resource/namespace/name"."""

    objects: dict[str, Raw] = field(default_factory=dict)
    writes: list[tuple[str, str, Raw]] = field(default_factory=list)
    hangs: Callable[[str], bool] = lambda path: False
    version: int = 1_000
    drops: frozenset[str] = frozenset()
    """Fields of the status of ElasticApps that its custom resources do not have."""

    async def create(self, path: str, body: Raw, *, dry_run: bool = False) -> Raw:
        await self._answer(path)
        resource, namespace, _ = _where(path)
        key = f"{resource}/{namespace}/{body['metadata']['name']}"
        if dry_run:
            return body
        if key in self.objects:
            raise Conflict("exists already", 409)
        self.writes.append(("create", key, body))
        meta = {"uid": key, "creationTimestamp": BORN, "generation": 1, **body["metadata"]}
        return self._store(key, {**body, "metadata": meta})

    async def patch(self, path: str, body: Raw, *, kind: str, **_: Any) -> Raw:
        await self._answer(path)
        key = "/".join(_where(path))
        self.writes.append(("patch", key, body))
        merged = _merge(self.objects[key], body)
        if kind == "strategic":  # conditions are merged by their type
            news = body["status"]["conditions"]
            kept = [c for c in self.objects[key]["status"]["conditions"] if c["type"] != news[0]["type"]]
            merged["status"]["conditions"] = [*kept, *news]
        return self._store(key, merged)

    async def delete(self, path: str, **_: Any) -> Raw:
        await self._answer(path)
        key = "/".join(_where(path))
        self.writes.append(("delete", key, {}))
        return self.objects.pop(key)

    async def _answer(self, path: str) -> None:
        if self.hangs(path):
            await asyncio.sleep(3600)

    def _store(self, key: str, raw: Raw) -> Raw:
        self.version += 1
        if key.startswith("elasticapps/"):
            raw = {**raw, "status": {k: v for k, v in raw.get("status", {}).items() if k not in self.drops}}
        self.objects[key] = {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self.version)}}
        return copy.deepcopy(self.objects[key])

    def of(self, namespace: str) -> list[tuple[str, str, Raw]]:
        return [w for w in self.writes if w[1].split("/")[1] == namespace]


def _where(path: str) -> tuple[str, str, str]:
    parts = path.removesuffix("/status").split("/")
    if "namespaces" not in parts:
        return parts[-2], "", parts[-1]
    _, namespace, resource, *name = parts[parts.index("namespaces") :]
    return resource, namespace, name[0] if name else ""


def _merge(old: Any, new: Any) -> Any:
    if not isinstance(new, Mapping):
        return new
    old = old if isinstance(old, Mapping) else {}
    merged = {**old, **{k: _merge(old.get(k), v) for k, v in new.items()}}
    return {k: v for k, v in merged.items() if v is not None}


@dataclass
class Routers:
    """Every router has acknowledged everything."""

    telemetry: Any = field(default_factory=lambda: SimpleNamespace(collect=lambda now_s: None))
    apps: Mapping[str, AppRoutes] = field(default_factory=dict)

    async def publish(self, apps: Mapping[str, AppRoutes]) -> Published:
        self.apps = apps
        return Published(confirmed=frozenset(apps), routed=frozenset(apps), rejected={}, waiting=())

    async def ask(self, endpoints: Any) -> None:
        return None

    def routers(self) -> tuple[Any, ...]:
        return (SimpleNamespace(maybe_serving=True),)


class Tenants:
    """The cycle over two namespaces with one running app each, or over whatever ``load`` is given."""

    def __init__(self, patience_s: float = 10.0) -> None:
        self.now_s = BORN_S + 1_000.0
        self.memory, self.routers, self.faults = Memory(), Routers(), Faults()
        api = cast(Api, self.memory)
        self.world = World(api, on_change=lambda: None)
        control = cast(RouterControl, self.routers)
        learner = Learner(telemetry=self.routers.telemetry, clock=lambda: self.now_s)
        hands = Hands(api, self.world, Events(api, instance="test"), lambda: self.now_s, lambda: True)
        self.cycle = Cycle(
            world=self.world,
            routers=control,
            learner=learner,
            hands=hands,
            drains=Drains(hands=hands, routers=control, learner=learner),
            editions=Editions(api, self.world),
            writer=Writer(api, self.world),
            clock=lambda: self.now_s,
            each=Each(self.faults, patience_s=patience_s),
        )

    def load(self, objects: Mapping[str, Raw]) -> None:
        """What the watches tell: the objects by "resource/namespace/name"."""
        self.memory.objects = {k: copy.deepcopy(raw) for k, raw in objects.items()}
        for resource, reflector in self.world.reflectors.items():
            kept = [raw for key, raw in self.memory.objects.items() if key.startswith(f"{resource}/")]
            _replace(reflector, copy.deepcopy(kept), self.memory.version)

    async def once(self) -> None:
        self.now_s += 1.0
        await self.cycle.once()


def _replace(reflector: Reflector[Any], kept: list[Raw], version: int) -> None:
    reflector.store.replace(list(reflector.store.trimmed(kept)), version)


def cluster(*namespaces: str) -> dict[str, Raw]:
    """One app with a serving and a pending server in each namespace."""
    found = {
        "slapolicies//gold": _object(
            "SLAPolicy", "gold", goal={"type": "averageResponseTime", "target": "300ms"}
        ),
        "dynamicpools//default": _object("DynamicPool", "default", nodeSelector={"pool": "default"}),
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


def candidate(app: Raw) -> Candidate:
    return Candidate(key=f"{app['metadata']['namespace']}/web", raw=app, spec=elasticapp.parse(app))


def _edition(app: Raw) -> Raw:
    found = candidate(app)
    assert found.spec is not None
    made = new_edition(found, found.spec, template_hash(app["spec"]["template"]))
    made["metadata"] |= {
        "uid": f"edition-{found.namespace}",
        "resourceVersion": "100",
        "creationTimestamp": BORN,
    }
    return {**made, "status": {"state": "Active", "replicas": 2}}


def _replicaset(app: Raw, edition: Raw) -> Raw:
    found = candidate(app)
    assert found.spec is not None
    made = replicaset_object(found, found.spec, edition, serves=True)
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
