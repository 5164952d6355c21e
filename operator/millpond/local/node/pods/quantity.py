"""What a pod requests of its node, by resource."""

from collections.abc import Mapping
from decimal import Decimal

from millpond.api.quantity import ZERO as ZERO
from millpond.api.quantity import parse as parse
from millpond.local.node.api import Json


def requests(pod: Json) -> dict[str, Decimal]:
    """What the scheduler counts: containers together or the largest init container, whichever is more; a pod each."""
    spec = pod["spec"]
    total: dict[str, Decimal] = {}
    for container in spec["containers"]:
        for name, amount in _requests(container).items():
            total[name] = total.get(name, ZERO) + amount
    for container in spec.get("initContainers", ()):
        for name, amount in _requests(container).items():
            total[name] = max(total.get(name, ZERO), amount)
    return total | {"pods": Decimal(1)}


def _requests(container: Json) -> dict[str, Decimal]:
    asked: Mapping[str, str] = container.get("resources", {}).get("requests", {})
    return {name: parse(amount) for name, amount in asked.items()}
