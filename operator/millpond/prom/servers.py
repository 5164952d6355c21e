"""Memory and CPU of servers, from the metrics that kubelets (cAdvisor) and process nodes export."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from millpond.prom import promql
from millpond.prom.reader import PromReader, Series, known

Pod: TypeAlias = tuple[str, str]
"""(namespace, name)"""

_MEMORY = "container_memory_working_set_bytes"
_CPU = "container_cpu_usage_seconds_total"
_FUTURE_S = 30.0
WIDER = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one server uses. A figure that is not known, or too old, is None: never zero."""

    cpu_cores: float | None
    memory_bytes: float | None
    at_s: float
    """When the oldest sample behind the figures was scraped."""


async def server_usage(
    reader: PromReader, namespaces: Iterable[str], *, window_s: float = 60.0, max_age_s: float = 60.0
) -> Mapping[Pod, Usage]:
    """Usage per (namespace, pod); pods without a fresh figure are missing. CPU is the mean over ``window_s``,
    or over a wider window where Prometheus scrapes too seldom for that. One query. Raises PromError.
    """
    if not (namespaces := tuple(namespaces)):
        return {}
    where = (promql.one_of_namespaces(namespaces), 'pod!=""', 'container!=""', 'container!="POD"')
    memory, cpu = promql.selector(_MEMORY, *where), promql.selector(_CPU, *where)
    by_pod = "by (namespace,pod)"
    figures = await per_pod(
        reader,
        max_age_s,
        memory=f"sum {by_pod} ({memory})",
        memory_at=f"min {by_pod} (timestamp({memory}))",
        cpu=" or ".join(rate_by_pod(cpu, w) for w in (window_s, WIDER * window_s)),
        cpu_at=f"min {by_pod} (timestamp({cpu}))",
    )
    return {
        pod: Usage(cpu_cores=f.get("cpu"), memory_bytes=f.get("memory"), at_s=f["at"])
        for pod, f in figures.items()
    }


def rate_by_pod(selector: str, window_s: float) -> str:
    """The rate of a counter, of pods that had it a window ago: of younger ones, rate() would tell too little."""
    window = promql.seconds(window_s)
    return (
        f"(sum by (namespace,pod) (rate({selector}[{window}]))"
        f" and sum by (namespace,pod) ({selector} offset {window}))"
    )


async def per_pod(
    reader: PromReader, max_age_s: float, **expressions: str
) -> Mapping[Pod, Mapping[str, float]]:
    """Fresh figures per pod, from one query. Each ``x`` comes with ``x_at``, when its sample was scraped.

    Figures that are negative, not numbers, without a time or older than ``max_age_s`` are left out; ``at`` is
    the oldest of the times that count.
    """
    found: dict[Pod, dict[str, float]] = defaultdict(dict)
    for series in await reader.query(promql.parts(**expressions)):
        if (value := known(series.value)) is not None:
            found[_pod(series)][series.labels.get("part", "")] = value
    now_s = reader.clock()
    fresh = {pod: _fresh(figures, now_s, max_age_s) for pod, figures in found.items()}
    return {pod: figures for pod, figures in fresh.items() if figures}


def _pod(series: Series) -> Pod:
    return series.labels.get("namespace", ""), series.labels.get("pod", "")


def _fresh(figures: Mapping[str, float], now_s: float, max_age_s: float) -> dict[str, float]:
    times = {name: figures.get(f"{name}_at") for name in figures if not name.endswith("_at")}
    kept = {name: at for name, at in times.items() if at is not None and is_fresh(at, now_s, max_age_s)}
    return {**{name: figures[name] for name in kept}, "at": min(kept.values())} if kept else {}


def is_fresh(at_s: float, now_s: float, max_age_s: float) -> bool:
    """Not older than that, and not from a future that no honest clock skew explains."""
    return -_FUTURE_S <= now_s - at_s <= max_age_s
