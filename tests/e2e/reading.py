"""Objects as the API server has them, without a kubectl for each look: tests look many times a second."""

from typing import Any

import httpx

from millpond.kube.decode import decoded

from waiting import eventually

Raw = dict[str, Any]
BUSY_S = 20.0  # so long the API server may ask for patience, which it does while custom resources change
_API_GROUPS = {
    "/api/v1": ("pods", "services", "events", "nodes", "resourcequotas"),
    "/apis/apps/v1": ("replicasets", "deployments"),
    "/apis/coordination.k8s.io/v1": ("leases",),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/apiextensions.k8s.io/v1": ("customresourcedefinitions",),
    "/apis/millpond.dev/v1alpha1": ("elasticapps", "editions", "slapolicies", "dynamicpools"),
}
_GROUP_OF = {plural: group for group, plurals in _API_GROUPS.items() for plural in plurals} | {
    "events.events.k8s.io": "/apis/events.k8s.io/v1"
}


def get(http: httpx.Client, kinds: str, *rest: str) -> Raw:
    """What `kubectl get KINDS [NAME] [-n NAMESPACE] [-l SELECTOR] -o json` prints. KINDS: `pods`, `editions,pods` …"""
    names, options = rest[: len(rest) % 2], rest[len(rest) % 2 :]
    chosen = dict(zip(options[::2], options[1::2], strict=True))
    place = f"/namespaces/{chosen['-n']}" if "-n" in chosen else ""
    query = {"labelSelector": chosen["-l"]} if "-l" in chosen else {}
    if names:
        return _read(http, f"{_path(kinds, place)}/{names[0]}")
    items: list[Raw] = []
    for each in kinds.split(","):
        found = _read(http, _path(each, place), query)
        items += ({"kind": found["kind"].removesuffix("List"), **item} for item in found["items"])
    return {"items": items}


def _path(kind: str, place: str) -> str:
    plural = kind if kind in _GROUP_OF else f"{kind}s"
    return f"{_GROUP_OF[plural]}{place}/{plural.partition('.')[0]}"


def _read(http: httpx.Client, path: str, query: dict[str, str] | None = None) -> Raw:
    answer = eventually(lambda: _answered(http, path, query), BUSY_S, f"the API server answers {path}")
    assert answer.status_code == httpx.codes.OK, answer.text
    found: Raw = decoded(answer.content)
    return found


def _answered(http: httpx.Client, path: str, query: dict[str, str] | None) -> httpx.Response | None:
    """None: it says to come back later."""
    answer = http.get(path, params=query)
    return None if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else answer
