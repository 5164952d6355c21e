"""Manifests, and ways to spoil them."""

from copy import deepcopy
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from millpond.api.kinds import dynamicpool, edition, elasticapp, slapolicy
from millpond.api.names import API_VERSION, DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY

Manifest = dict[str, Any]
MODULES: dict[str, ModuleType] = {
    ELASTICAPP: elasticapp,
    EDITION: edition,
    SLAPOLICY: slapolicy,
    DYNAMICPOOL: dynamicpool,
}
ABSENT = object()
TEMPLATE: Manifest = {"spec": {"containers": [{"name": "app", "image": "example/shop:1"}]}}
SPECS: dict[str, Manifest] = {
    ELASTICAPP: {
        "pool": "main",
        "sla": {"policy": "gold"},
        "servers": {"max": 4},
        "edition": "v1",
        "template": TEMPLATE,
        "port": 8080,
        "routes": [{"host": "shop.example.com"}],
    },
    EDITION: {"app": "shop", "edition": "v1", "template": TEMPLATE, "templateHash": "0123456789"},
    SLAPOLICY: {"goal": {"type": "averageResponseTime", "target": "300ms"}},
    DYNAMICPOOL: {"nodeSelector": {"millpond.dev/pool": "main"}},
}


def manifest(kind: str, changes: Manifest | None = None, *, name: str = "shop") -> Manifest:
    """A good manifest of a kind; ``changes``: dotted path below spec -> value, or ABSENT to leave it out."""
    spec = deepcopy(SPECS[kind])
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        part = spec
        for parent in parents:
            part = part.setdefault(parent, {})
        if value is ABSENT:
            del part[last]
        else:
            part[last] = deepcopy(value)
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True)
class Bad:
    """A spoilt manifest. Whoever refuses it must name ``field`` and say all of ``says``."""

    story: str
    kind: str
    changes: Manifest
    field: str
    says: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        return manifest(self.kind, self.changes)


def goal(type: str, **rest: Any) -> Manifest:
    return {"goal": {"type": type, **rest}}


def app(story: str, changes: Manifest, field: str, *says: str) -> Bad:
    return Bad(story, ELASTICAPP, changes, field, says)


def sla(story: str, changes: Manifest, field: str, *says: str) -> Bad:
    return Bad(story, SLAPOLICY, changes, field, says)


def pool(story: str, changes: Manifest, field: str, *says: str) -> Bad:
    return Bad(story, DYNAMICPOOL, changes, field, says)


def canary(*steps: Manifest) -> Manifest:
    return {"rollout": {"strategy": "Canary", "steps": list(steps)}}


def window(**changes: Any) -> Manifest:
    return {"changeWindows": [{"start": "00:00", "end": "06:00", "timeZone": "Europe/Berlin"} | changes]}


AVERAGE, PERCENTILE, NONE = "averageResponseTime", "percentileResponseTime", "discretionary"
TARGET, UNITS = "spec.goal.target", "with a unit out of ms, s, m, h"
RANGE = "more than 0s and at most 5m"
