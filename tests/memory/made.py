"""Objects as they are applied: a policy, a pool, nodes, apps, and a namespace for them."""

from millpond.api.names import API_VERSION
from millpond.kube import paths

from memory.patches import Raw, merged
from memory.server import Server

NAMESPACE, APP = "shop", "web"
KEY = f"{NAMESPACE}/{APP}"


def furnished(server: Server, *namespaces: str, nodes: int = 3) -> None:
    """Everything that apps refer to."""
    goal = {"type": "averageResponseTime", "target": "300ms"}
    server.create(paths.slapolicies(), _object("SLAPolicy", "gold", {"goal": goal}))
    server.create(
        paths.dynamicpools(), _object("DynamicPool", "default", {"nodeSelector": {"pool": "default"}})
    )
    for number in range(nodes):
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        node = _object("Node", f"n{number + 1}", {})
        node["metadata"]["labels"] = {"pool": "default"}
        server.create(paths.nodes(), {**node, "status": ready})
    for name in namespaces or (NAMESPACE,):
        server.create(paths.namespaces(), _object("Namespace", name, {}))


def app(namespace: str = NAMESPACE, name: str = APP, edition: str = "v1", **spec: object) -> Raw:
    """Manual with one server, unless ``spec`` says otherwise. Each edition has a template of its own."""
    env = [{"name": "EDITION", "value": edition}]
    container = {"name": "app", "image": "sample", "env": env, "resources": {"requests": {"cpu": "100m"}}}
    base = {
        "pool": "default",
        "sla": {"policy": "gold"},
        "servers": {"min": 1, "max": 6},
        "mode": "Manual",
        "replicas": 1,
        "edition": edition,
        "port": 8080,
        "routes": [{"host": f"{name}.{namespace}.test"}],
        "drain": {"timeout": "20s"},
        "rollout": {"soak": "1s"},
        "template": {"spec": {"containers": [container]}},
    }
    made = _object("ElasticApp", name, merged(base, spec))
    made["metadata"]["namespace"] = namespace
    return made


def apply(server: Server, found: Raw) -> None:
    """As `kubectl apply` of an app."""
    meta = found["metadata"]
    if f"elasticapps/{meta['namespace']}/{meta['name']}" in server.objects:
        server.patch(paths.elasticapps(meta["namespace"], meta["name"]), {"spec": found["spec"]})
    else:
        server.create(paths.elasticapps(meta["namespace"]), found)


def stored(server: Server, namespace: str = NAMESPACE, name: str = APP) -> Raw:
    return server.get(paths.elasticapps(namespace, name))


def _object(kind: str, name: str, spec: Raw) -> Raw:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
