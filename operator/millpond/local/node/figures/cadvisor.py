"""Containers' figures under cAdvisor's names, as Prometheus reads them from a kubelet."""

from collections.abc import Iterable, Mapping

from millpond.local.node.containers.container import ContainerRunner
from millpond.local.node.figures.usage import Used
from millpond.local.node.pods.pod import PodRunner

_MEMORY = "container_memory_working_set_bytes"
_CPU = "container_cpu_usage_seconds_total"


def exposition(pods: Iterable[PodRunner], usage: Mapping[str, Used]) -> str:
    """Prometheus' text format; memory is the resident set of the container's process tree."""
    rows = [(p, c, used) for p in pods for c in p.containers if (used := _used(c, usage))]
    lines = [f"# HELP {_MEMORY} Resident memory of the container's processes.", f"# TYPE {_MEMORY} gauge"]
    lines += [f"{_MEMORY}{_labels(p, c)} {used.rss_bytes}" for p, c, used in rows]
    lines += [f"# HELP {_CPU} CPU time of the container's processes.", f"# TYPE {_CPU} counter"]
    lines += [f"{_CPU}{_labels(p, c, cpu='total')} {used.cpu_s:.2f}" for p, c, used in rows]
    return "\n".join([*lines, ""])


def _used(container: ContainerRunner, usage: Mapping[str, Used]) -> Used | None:
    running = container.state.running
    return usage.get(running.id) if running else None


def _labels(pod: PodRunner, container: ContainerRunner, **more: str) -> str:
    view, state = pod.view, container.state
    assert state.running
    labels = {
        "namespace": view.namespace,
        "pod": view.name,
        "container": state.name,
        "id": f"/kubepods/pod{view.uid}/{state.running.id}",
        "image": state.image,
        "name": state.running.id,
    } | more
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
