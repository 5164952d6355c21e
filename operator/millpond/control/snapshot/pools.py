"""The pools of the Snapshot."""

from collections.abc import Mapping
from typing import Any

from millpond.kube.raw import fields, text
from millpond_policies.world.nodes import Pool, Zone

Raw = Mapping[str, Any]


def pools(found: Mapping[str, Raw]) -> tuple[Pool, ...]:
    """By name; one that cannot be read is left out, as its apps are."""
    made = (_pool(name, fields(raw.get("spec"))) for name, raw in sorted(found.items()))
    return tuple(pool for pool in made if pool is not None)


def _pool(name: str, spec: Raw) -> Pool | None:
    selector, zone = spec.get("nodeSelector"), text(spec.get("zone", Zone.DYNAMIC.value))
    if not isinstance(selector, Mapping) or not all(isinstance(v, str) for v in selector.values()):
        return None
    if zone not in list(Zone):
        return None
    return Pool(name=name, zone=Zone(zone), selector=dict(selector))
