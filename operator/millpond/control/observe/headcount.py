"""How many servers there are, as anybody sees them who may read pods: for demos and the command line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from millpond.control.observe.objects import Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """How many servers there are now."""

    desired: int = 0
    """Ordered: the replicas of the app's ReplicaSets."""
    ready: int = 0
    starting: int = 0
    draining: int = 0


def count(pods: Iterable[Pod], ordered: int) -> Servers:
    """Servers by state. Ready: those that serve."""
    found = list(pods)
    staying = [pod for pod in found if not (pod.retiring or pod.finished)]
    ready = sum(pod.serving for pod in staying)
    draining = sum(pod.retiring for pod in found)
    return Servers(desired=ordered, ready=ready, starting=len(staying) - ready, draining=draining)


def by_edition(pods: Iterable[Pod]) -> Mapping[str, Servers]:
    """Of each edition that has any, by its name. Desired: those there are."""
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        found[pod.edition or "?"].append(pod)
    return {edition: count(theirs, len(theirs)) for edition, theirs in sorted(found.items())}
