"""What Java servers say about themselves: heap, garbage collection, threads.

Names of Open Liberty (mpMetrics 5, and ``base_…`` of mpMetrics 2-4), Micrometer, and the JMX exporter (which
shares ``jvm_memory_used_bytes`` with Micrometer since client_java 1.0; ``jvm_memory_bytes_used`` is older).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from millpond.prom import promql
from millpond.prom.reader import PromReader
from millpond.prom.servers import Pod, per_pod, rate_by_pod

_HEAP = 'area="heap"'
_HEAP_USED = (
    ("memory_usedHeap_bytes", ""),
    ("base_memory_usedHeap_bytes", ""),
    ("jvm_memory_used_bytes", _HEAP),
    ("jvm_memory_bytes_used", _HEAP),
)
_HEAP_MAX = (
    ("memory_maxHeap_bytes", ""),
    ("base_memory_maxHeap_bytes", ""),
    ("jvm_memory_max_bytes", _HEAP),
    ("jvm_memory_bytes_max", _HEAP),
)
_GC_TIME = (
    ("gc_time_seconds", ""),
    ("base_gc_time_seconds", ""),
    ("jvm_gc_pause_seconds_sum", ""),
    ("jvm_gc_collection_seconds_sum", ""),
)
_THREADS = (
    ("thread_count", ""),
    ("base_thread_count", ""),
    ("jvm_threads_live_threads", ""),
    ("jvm_threads_current", ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jvm:
    """One server's JVM. What is not exported, unlimited or too old is None."""

    heap_used_bytes: float | None
    heap_max_bytes: float | None
    gc_share: float | None
    """Seconds spent collecting garbage per second, over the window."""
    threads: float | None
    at_s: float


async def jvms(
    reader: PromReader, namespaces: Iterable[str], *, window_s: float = 60.0, max_age_s: float = 60.0
) -> Mapping[Pod, Jvm]:
    """The JVM of each (namespace, pod) that has fresh JVM series. One query. Raises PromError."""
    if not (namespaces := tuple(namespaces)):
        return {}
    where = (promql.one_of_namespaces(namespaces), 'pod!=""')
    figures = await per_pod(
        reader,
        max_age_s,
        used=_first(_HEAP_USED, where, "sum", "{}"),
        used_at=_first(_HEAP_USED, where, "min", "timestamp({})"),
        max=_first(_HEAP_MAX, where, "sum", "{} > 0"),
        max_at=_first(_HEAP_MAX, where, "min", "timestamp({})"),
        gc=" or ".join(rate_by_pod(promql.selector(name, *where), window_s) for name, _ in _GC_TIME),
        gc_at=_first(_GC_TIME, where, "min", "timestamp({})"),
        threads=_first(_THREADS, where, "sum", "{}"),
        threads_at=_first(_THREADS, where, "min", "timestamp({})"),
    )
    return {pod: _jvm(f) for pod, f in figures.items()}


def _first(names: Iterable[tuple[str, str]], where: tuple[str, ...], aggregate: str, of: str) -> str:
    """The expression over the first of the names that a pod exports."""
    selectors = (promql.selector(name, *where, extra) for name, extra in names)
    return " or ".join(f"{aggregate} by (namespace,pod) ({of.format(s)})" for s in selectors)


def _jvm(figures: Mapping[str, float]) -> Jvm:
    return Jvm(
        heap_used_bytes=figures.get("used"),
        heap_max_bytes=figures.get("max"),
        gc_share=figures.get("gc"),
        threads=figures.get("threads"),
        at_s=figures["at"],
    )
