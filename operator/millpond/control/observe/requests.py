"""What a pod requests of its node, added up as the kube-scheduler does. Pure and total."""

from collections.abc import Mapping
from typing import Any

from millpond.api import quantity
from millpond.kube.raw import entries, fields, text
from millpond_policies.world.constraints import Resources

Raw = Mapping[str, Any]
Amounts = tuple[int, int]  # CPU in thousandths of a core, memory in bytes
_NOTHING: Amounts = (0, 0)


def requests(spec: Raw, status: Raw | None = None) -> Resources | None:
    """Of a pod, or (without ``status``) of the pods that a template makes. None: an amount cannot be read.

    Containers and sidecars (init containers that restart always) together, or the largest init container with the
    sidecars that started before it, whichever is more; the pod's own requests in their place, if it has any; and
    the overhead of its runtime. While a container is resized, the larger of what it has and what it shall have.
    """
    try:
        cpu_m, memory = _own(spec, _added_up(spec, status or {}))
        more = _amounts(spec.get("overhead"))
    except ValueError:
        return None
    return Resources(cpu_m=cpu_m + more[0], memory_bytes=memory + more[1], pods=1)


def _added_up(spec: Raw, status: Raw) -> Amounts:
    has = _actual(status.get("containerStatuses")) | _actual(status.get("initContainerStatuses"))
    sidecars, largest = _NOTHING, _NOTHING
    for container in entries(spec.get("initContainers")):
        asked = _of(container, has)
        if container.get("restartPolicy") == "Always":
            sidecars = _plus(sidecars, asked)
            largest = _most(largest, sidecars)
        else:
            largest = _most(largest, _plus(sidecars, asked))
    total = sidecars
    for container in entries(spec.get("containers")):
        total = _plus(total, _of(container, has))
    return _most(total, largest)


def _own(spec: Raw, added: Amounts) -> Amounts:
    """Requests of the pod as a whole stand in the place of its containers'."""
    resources = fields(spec.get("resources"))
    own = fields(resources.get("requests")) or fields(resources.get("limits"))
    asked = _amounts(own)
    return asked[0] if "cpu" in own else added[0], asked[1] if "memory" in own else added[1]


def _of(container: Raw, has: Mapping[str, Amounts]) -> Amounts:
    resources = fields(container.get("resources"))
    asked = _amounts({**fields(resources.get("limits")), **fields(resources.get("requests"))})
    return _most(asked, has.get(text(container.get("name")) or "", _NOTHING))


def _actual(statuses: Any) -> dict[str, Amounts]:
    """What each container has at present, as its node says."""
    found = {}
    for status in entries(statuses):
        given = _amounts(fields(status.get("resources")).get("requests"))
        allocated = _amounts(status.get("allocatedResources"))
        found[text(status.get("name")) or ""] = _most(given, allocated)
    return found


def _amounts(asked: Any) -> Amounts:
    found = fields(asked)
    cpu_m = quantity.counted(found.get("cpu", 0), 1000)
    memory = quantity.counted(found.get("memory", 0))
    if cpu_m is None or memory is None:
        raise ValueError("no quantity")
    return cpu_m, memory


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] + other[0], one[1] + other[1]


def _most(one: Amounts, other: Amounts) -> Amounts:
    return max(one[0], other[0]), max(one[1], other[1])
