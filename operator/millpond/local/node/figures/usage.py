"""Memory and CPU of every container, and the kill of those above their memory limit."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from millpond.local.node.containers.container import ContainerRunner
from millpond.local.node.figures import proctable
from millpond.local.node.pods import quantity
from millpond.local.node.pods.pod import PodRunner

log = logging.getLogger(__name__)
_PERIOD_S = 0.4


@dataclass(frozen=True, slots=True)
class Used:
    """By one container: resident memory of all its processes now, CPU since its start."""

    rss_bytes: int
    cpu_s: float


class Usage:
    """``of`` has the newest figures by the id of a container's run; ``run`` takes them while any has a limit."""

    def __init__(self, pods: Mapping[str, PodRunner]) -> None:
        self._pods = pods
        self.of: dict[str, Used] = {}

    async def run(self) -> None:
        while True:
            if any(_limit_of(c) for c in _containers(self._pods.values())):
                self.measure()
            await asyncio.sleep(_PERIOD_S)

    def measure(self) -> None:
        containers = [c for c in _containers(self._pods.values()) if c.state.running]
        table = proctable.read_all() if containers else {}
        figures: dict[str, Used] = {}
        for container in containers:
            assert container.state.running
            run = container.state.running
            inside = proctable.members(table, run.process.pid)
            before = self.of.get(run.id, Used(0, 0.0))
            cpu_s = max(
                before.cpu_s, sum(e.cpu_s for e in inside)
            )  # a counter: what ended unwaited for stays in
            figures[run.id] = Used(sum(e.rss_bytes for e in inside), cpu_s)
            _enforce_limit(container, figures[run.id])
        self.of = figures


def _limit_of(container: ContainerRunner) -> str | None:
    limit: str | None = container.spec.get("resources", {}).get("limits", {}).get("memory")
    return limit


def _enforce_limit(container: ContainerRunner, used: Used) -> None:
    limit = _limit_of(container)
    if limit is not None and used.rss_bytes > quantity.parse(limit):
        log.info(
            "container %s uses %d bytes, more than its limit %s", container.state.name, used.rss_bytes, limit
        )
        container.out_of_memory()


def _containers(pods: Iterable[PodRunner]) -> Iterable[ContainerRunner]:
    for pod in pods:
        yield from pod.init
        yield from pod.containers
