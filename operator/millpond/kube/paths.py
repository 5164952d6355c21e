"""Paths of the API server for the resources that Millpond reads and writes."""

from urllib.parse import quote

_MILLPOND = "/apis/millpond.dev/v1alpha1"


def _path(prefix: str, ns: str | None, plural: str, name: str | None, sub: str | None) -> str:
    parts = [prefix]
    parts += ["namespaces", quote(ns, safe="")] if ns else []
    parts += [plural]
    parts += [quote(name, safe="")] if name else []
    parts += [sub] if sub else []
    return "/".join(parts)


def elasticapps(ns: str | None = None, name: str | None = None, sub: str | None = None) -> str:
    return _path(_MILLPOND, ns, "elasticapps", name, sub)


def editions(ns: str | None = None, name: str | None = None, sub: str | None = None) -> str:
    return _path(_MILLPOND, ns, "editions", name, sub)


def slapolicies(name: str | None = None, sub: str | None = None) -> str:
    return _path(_MILLPOND, None, "slapolicies", name, sub)


def dynamicpools(name: str | None = None, sub: str | None = None) -> str:
    return _path(_MILLPOND, None, "dynamicpools", name, sub)


def replicasets(ns: str | None = None, name: str | None = None, sub: str | None = None) -> str:
    return _path("/apis/apps/v1", ns, "replicasets", name, sub)


def pods(ns: str | None = None, name: str | None = None, sub: str | None = None) -> str:
    return _path("/api/v1", ns, "pods", name, sub)


def nodes(name: str | None = None, sub: str | None = None) -> str:
    return _path("/api/v1", None, "nodes", name, sub)


def namespaces(name: str | None = None) -> str:
    return _path("/api/v1", None, "namespaces", name, None)


def events(ns: str | None = None, name: str | None = None) -> str:
    return _path("/apis/events.k8s.io/v1", ns, "events", name, None)


def leases(ns: str | None = None, name: str | None = None) -> str:
    return _path("/apis/coordination.k8s.io/v1", ns, "leases", name, None)


def deployments(ns: str, name: str) -> str:
    return _path("/apis/apps/v1", ns, "deployments", name, None)


def services(ns: str, name: str | None = None) -> str:
    return _path("/api/v1", ns, "services", name, None)


def secrets(ns: str, name: str | None = None) -> str:
    return _path("/api/v1", ns, "secrets", name, None)


def resource(path: str) -> str:
    """What a path is about, with the subresource: /api/v1/namespaces/a/pods/b/status -> pods/status"""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    return "/".join(parts[::2][:2])
