"""Kubernetes quantities ("250m", "1.5Gi", "2e3") as exact numbers, and what a pod requests of them."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from millpond.local.node.api import Json

ZERO = Decimal(0)
_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip


def parse(text: str | float) -> Decimal:
    """In cores, bytes or pieces.

    >>> parse("250m"), parse("1.5Ki")
    (Decimal('0.250'), Decimal('1536.0'))

    Raises ValueError on anything else.
    """
    digits = str(text).rstrip("numkMGTPi")
    suffix = str(text)[len(digits) :]
    try:
        return Decimal(digits) * _SUFFIXES[suffix]
    except (InvalidOperation, KeyError) as e:
        raise ValueError(
            f"{text!r} is not a quantity: a number with a suffix like m, k, M, Ki, Mi, Gi"
        ) from e


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
