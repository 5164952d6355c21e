"""What a server asks of a node: resources, and where it may run. What is not understood is named, never guessed.

The kube-scheduler has the last word; these are the parts of a pod's template by which it decides.
"""

from dataclasses import dataclass
from enum import StrEnum

Labels = tuple[tuple[str, str], ...]  # (key, value), all of which must hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """As the kube-scheduler counts: CPU in thousandths of a core, memory in bytes, and pods."""

    cpu_m: int = 0
    memory_bytes: int = 0
    pods: int = 0

    def plus(self, other: "Resources", times: int = 1) -> "Resources":
        return Resources(
            cpu_m=self.cpu_m + times * other.cpu_m,
            memory_bytes=self.memory_bytes + times * other.memory_bytes,
            pods=self.pods + times * other.pods,
        )

    def covers(self, other: "Resources") -> bool:
        """Whether ``other`` fits into this."""
        return (
            other.cpu_m <= self.cpu_m and other.memory_bytes <= self.memory_bytes and other.pods <= self.pods
        )


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One expression about a label of the node, or about one of its fields (metadata.name)."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTerm:
    """All of its expressions must hold; one without any matches no node."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """``key`` empty: of every taint; ``value`` None: whatever the taint's value is; ``effect`` empty: every one."""

    key: str = ""
    value: str | None = None
    effect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A topology spread that bars nodes: pods with ``labels`` differ by at most ``max_skew`` between domains."""

    topology_key: str
    max_skew: int
    labels: Labels = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Where servers may run. ``unknown``: fields that matter to the kube-scheduler and are not understood here."""

    selector: Labels = ()
    affinity: tuple[NodeTerm, ...] = ()  # any of them; none: every node
    tolerations: tuple[Toleration, ...] = ()
    spread: tuple[Spread, ...] = ()
    unknown: tuple[str, ...] = ()
