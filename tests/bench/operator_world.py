"""A big cluster in memory: raw objects in the operator's caches and in the API server; no controllers, no routers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from millpond.api.kinds import dynamicpool, elasticapp, slapolicy
from millpond.api.kinds.template import template_hash
from millpond.api.names import API_VERSION, GATE, LABEL_APP, LABEL_EDITION
from millpond.control.act.editions import new_edition, replicaset_object
from millpond.control.observe.world import World
from millpond.control.resolve.candidates import ValidApp
from millpond.kube.cache import version_of
from millpond.kube.client import Api
from millpond.router.config import AppRoutes, cluster_name
from millpond.router.telemetry.collector import Collected, EditionSecond, EndpointLoad
from millpond.router.xds.control import Published, RouterControl
from millpond_policies.learn.histogram import BOUNDS_MS

from tests.memory.client import Client
from tests.memory.clock import Clock
from tests.memory.server import Server

Raw = dict[str, Any]
BORN = "2026-01-01T00:00:00Z"
BORN_S = 1767225600.0
RATE_PER_SERVER, RESPONSE_MS = 12, 60.0


@dataclass
class AgreeingRouters:
    """Every router has acknowledged everything, and reports every second the same load."""

    telemetry: Any = field(default_factory=SimpleNamespace)

    def publish(self, apps: Mapping[str, AppRoutes]) -> Published:
        return Published(confirmed=frozenset(apps), routed=frozenset(apps), rejected={}, waiting=())

    def routers(self) -> tuple[Any, ...]:
        return ()


class SteadyTelemetry:
    """One collection a second of all editions, a little different each time; each has ``servers`` servers."""

    def __init__(self, editions: tuple[str, ...], endpoints: tuple[str, ...], servers: int) -> None:
        self._editions, self._endpoints, self._servers = editions, endpoints, servers

    def collect(self, now_s: float) -> Collected:
        second = _second(RATE_PER_SERVER * self._servers + int(now_s) * 7 % 11 - 5)
        load = EndpointLoad(active=1, pending=0, total=1, at_s=now_s)
        return Collected(
            at_s=now_s,
            complete=True,
            window_s=1.0,
            editions=dict.fromkeys(self._editions, second),
            endpoints=dict.fromkeys(self._endpoints, load),
        )


def _second(requests: int) -> EditionSecond:
    bucket = next(i for i, bound in enumerate(BOUNDS_MS) if bound >= RESPONSE_MS)
    return EditionSecond(
        requests=requests,
        sum_ms=requests * RESPONSE_MS,
        histogram=tuple(requests if i == bucket else 0 for i in range(len(BOUNDS_MS) + 1)),
        in_flight=round(requests * RESPONSE_MS / 1000),
    )


@dataclass
class Made:
    world: World
    api: Client
    routers: RouterControl

    @property
    def writes(self) -> int:
        return len(self.api.server.writes)


def make(apps: int, servers: int) -> Made:
    """Settled apps, each with one edition that serves with ``servers`` servers."""
    server = Server(Clock(1_000.0), version=10_000_000)
    api = Client(server)
    world = World(cast(Api, api), on_change=lambda: None)
    policies = [_policy()]
    pools = [_pool()]
    found = [_app(number, servers) for number in range(apps)]
    editions = [_edition(app) for app in found]
    sets = [_replicaset(app, edition) for app, edition in zip(found, editions, strict=True)]
    pods = [_pod(owner, n, i) for i, owner in enumerate(sets) for n in range(servers)]
    nodes = [_node(number) for number in range(50)]
    namespaces = [_object("Namespace", "bench")]
    kept = {"elasticapps": found, "slapolicies": policies, "dynamicpools": pools, "editions": editions}
    server.load({_key(resource, raw): raw for resource, of_it in kept.items() for raw in of_it})
    for reflector, kind in zip(
        world.reflectors.values(),
        (found, policies, pools, editions, sets, pods, nodes, namespaces),
        strict=True,
    ):
        reflector.store.replace([reflector.store.trim(raw) for raw in kind], max(map(version_of, kind)))
    names = tuple(cluster_name(f"bench/{raw['metadata']['name']}", "v1") for raw in found)
    addresses = tuple(f"{pod['status']['podIP']}:8080" for pod in pods)
    routers = AgreeingRouters(telemetry=SteadyTelemetry(names, addresses, servers))
    return Made(world, api, cast(RouterControl, routers))


def _key(resource: str, raw: Raw) -> str:
    return f"{resource}/{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


def _object(kind: str, name: str, namespace: str | None = None, **spec: Any) -> Raw:
    meta = {"name": name, "uid": f"{kind}-{name}", "resourceVersion": "100", "creationTimestamp": BORN}
    meta |= {"namespace": namespace} if namespace else {}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec}


def _app(number: int, servers: int) -> Raw:
    name = f"app-{number:04}"
    env = [{"name": f"SETTING_{i}", "value": str(i)} for i in range(10)]
    container = {"name": "app", "image": "sample", "env": env, "resources": {"requests": {"cpu": "100m"}}}
    made = _object(
        "ElasticApp",
        name,
        "bench",
        pool="default",
        sla={"policy": "gold"},
        servers={"min": servers, "max": 2 * servers},
        edition="v1",
        port=8080,
        routes=[{"host": f"{name}.test"}],
        template={"spec": {"containers": [container]}},
    )
    made["metadata"]["generation"] = 1
    return made


def _candidate(app: Raw) -> ValidApp:
    return ValidApp(
        key=f"bench/{app['metadata']['name']}",
        raw=app,
        spec=elasticapp.parse(app),
        policy=slapolicy.parse(_policy()),
        pool=dynamicpool.parse(_pool()),
    )


def _policy() -> Raw:
    return _object("SLAPolicy", "gold", goal={"type": "averageResponseTime", "target": "300ms"})


def _pool() -> Raw:
    return _object("DynamicPool", "default", nodeSelector={"millpond.dev/pool": "default"})


def _edition(app: Raw) -> Raw:
    candidate = _candidate(app)
    made = new_edition(candidate, template_hash(app["spec"]["template"]))
    made["metadata"] |= {"uid": f"edition-{candidate.name}", "resourceVersion": "100"}
    return {**made, "status": {"state": "Active"}}


def _replicaset(app: Raw, edition: Raw) -> Raw:
    candidate = _candidate(app)
    made = replicaset_object(candidate, edition, serves=True)
    made["metadata"] |= {"uid": f"set-{candidate.name}", "resourceVersion": "100", "generation": 1}
    count = made["spec"]["replicas"]
    return {**made, "status": {"observedGeneration": 1, "replicas": count, "readyReplicas": count}}


def _pod(owner: Raw, number: int, app: int) -> Raw:
    meta = owner["metadata"]
    conditions = ("PodScheduled", "ContainersReady", "Ready", GATE)
    name = f"{meta['name']}-{number}"
    return {
        "metadata": {
            "namespace": "bench",
            "name": name,
            "uid": f"pod-{name}",
            "resourceVersion": "100",
            "creationTimestamp": BORN,
            "labels": {k: meta["labels"][k] for k in (LABEL_APP, LABEL_EDITION)},
            "ownerReferences": [{"uid": meta["uid"], "controller": True}],
        },
        "spec": {"nodeName": f"node-{app % 50}"},
        "status": {
            "phase": "Running",
            "podIP": f"10.{app // 250}.{app % 250}.{number}",
            "conditions": [{"type": c, "status": "True", "lastTransitionTime": BORN} for c in conditions],
            "containerStatuses": [{"state": {"running": {}}}],
        },
    }


def _node(number: int) -> Raw:
    made = _object("Node", f"node-{number}")
    made["metadata"]["labels"] = {"millpond.dev/pool": "default"}
    return {**made, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
