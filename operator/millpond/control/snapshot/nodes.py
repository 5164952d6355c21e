"""The nodes of the Snapshot: each with what all pods there request."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol

from millpond.control.observe.world import World
from millpond_policies.world.constraints import Resources
from millpond_policies.world.nodes import Node


class Asking(Protocol):
    """A pod, ours or another one."""

    @property
    def node(self) -> str | None: ...

    @property
    def requests(self) -> Resources | None: ...


@dataclass(slots=True)
class NodeViews:
    """Makes them once a cycle; a node of which nothing changed is the same value as before."""

    _made: dict[str, tuple[Node, Node]] = field(
        default_factory=dict
    )  # by name: as it was read, as it is shown

    def of(self, world: World) -> tuple[Node, ...]:
        """By name. What is requested is None where not all pods can be read."""
        asked = _asked(world)
        nodes = world.nodes.store.items()
        shown = {name: self._shown(node, _of(asked, node.name)) for name, node in sorted(nodes.items())}
        self._made = {name: (nodes[name], view) for name, view in shown.items()}
        return tuple(shown.values())

    def _shown(self, node: Node, requested: Resources | None) -> Node:
        before = self._made.get(node.name)
        if before is not None and before[0] is node and before[1].requested == requested:
            return before[1]
        return replace(node, requested=requested)


_NOTHING = Resources()


def _of(asked: Mapping[str, Resources | None] | None, name: str) -> Resources | None:
    return None if asked is None else asked.get(name, _NOTHING)


def _asked(world: World) -> Mapping[str, Resources | None] | None:
    """By node, what all its pods request that have not finished; those that are being deleted count until they are
    gone."""
    if world.others is None or not world.others.store.synced:
        return None
    ours = (pod for pod in world.pods.store.items().values() if not pod.finished)
    return added_up(chain(ours, world.others.store.items().values()))


def added_up(pods: Iterable[Asking]) -> dict[str, Resources | None]:
    """By node; None where what one of its pods requests cannot be read."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    unread = set()
    for pod in pods:
        if pod.node is None:
            continue
        asked = pod.requests
        if asked is None:
            unread.add(pod.node)
            continue
        of = sums[pod.node]
        of[0] += asked.cpu_m
        of[1] += asked.memory_bytes
        of[2] += asked.pods
    known = {
        name: Resources(cpu_m=cpu_m, memory_bytes=memory, pods=count)
        for name, (cpu_m, memory, count) in sums.items()
    }
    return {**known, **dict.fromkeys(unread)}
