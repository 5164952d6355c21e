"""The machines that apps share, and the pools that they are in. Unknown is None, never zero."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from millpond_policies.world.constraints import Resources


class Zone(StrEnum):
    DYNAMIC = "Dynamic"
    STATIC = "Static"


class Power(StrEnum):
    """Of the hardware under a node."""

    UNKNOWN = "Unknown"
    ON = "On"
    OFF = "Off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    key: str
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    allocatable: Resources | None = None  # to pods; None: the node has not said it yet
    requested: Resources | None = (
        None  # by all pods there, also those that are not ours; None: not all are seen
    )
    ready: bool
    cordoned: bool = False
    power: Power = Power.UNKNOWN

    @property
    def free(self) -> Resources | None:
        """What is left for more pods, below zero where more is promised than there is; None: unknown."""
        if self.allocatable is None or self.requested is None:
            return None
        return self.allocatable.plus(self.requested, times=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes with all labels of ``selector``; who may use it is decided before it is planned."""

    name: str
    zone: Zone = Zone.DYNAMIC
    selector: Mapping[str, str] = field(default_factory=dict)

    def has(self, node: Node) -> bool:
        return all(node.labels.get(key) == value for key, value in self.selector.items())
