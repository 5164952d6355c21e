"""Memory, CPU and JVM figures of servers, from a real Prometheus."""

import time

import pytest

from millpond.prom.errors import PromRejected
from millpond.prom.jvm import Jvm, jvms
from millpond.prom.reader import PromReader
from millpond.prom.servers import Usage, server_usage

from prom.exporter import Exporter
from waiting import eventually_async

pytestmark = pytest.mark.integration
Exporters = tuple[Exporter, ...]
WINDOW_S = 1.2


def cadvisor(namespace: str, pod: str, cpu_s: float, memory: object, container: str = "web") -> str:
    labels = f'namespace="{namespace}",pod="{pod}",container="{container}"'
    return (
        f"container_memory_working_set_bytes{{{labels}}} {memory}\n"
        f"container_cpu_usage_seconds_total{{{labels}}} {cpu_s}\n"
    )


async def usage_of(reader: PromReader, pod: tuple[str, str], max_age_s: float = 60.0) -> Usage:
    async def found() -> Usage | None:
        usage = (await server_usage(reader, [pod[0]], window_s=WINDOW_S, max_age_s=max_age_s)).get(pod)
        return usage if usage and usage.cpu_cores is not None else None

    usage = await eventually_async(found, 30, f"{pod} has both figures")
    assert usage is not None
    return usage


async def test_usage_is_per_pod_and_adds_up_its_containers(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(
        lambda t: (
            cadvisor(shop, "p1", 0.5 * t, 1e6)
            + cadvisor(shop, "p1", 0.25 * t, 5e5, "sidecar")
            + cadvisor(shop, "p1", 9 * t, 9e9, "")
            + cadvisor(shop, "p1", 9 * t, 9e9, "POD")
            + cadvisor(f"{shop}-2", "p1", t, 2e6)
        )
    )
    usage = await usage_of(reader, (shop, "p1"))
    assert usage.memory_bytes == 1.5e6
    assert usage.cpu_cores == pytest.approx(0.75, rel=0.3)
    assert time.time() - usage.at_s < 10
    both = await server_usage(reader, [shop, f"{shop}-2"], window_s=WINDOW_S)
    assert {pod: u.memory_bytes for pod, u in both.items()} == {(shop, "p1"): 1.5e6, (f"{shop}-2", "p1"): 2e6}


@pytest.mark.parametrize("memory", ["NaN", "+Inf", "-1", "1e308"])
async def test_an_impossible_memory_is_unknown_and_the_cpu_still_known(
    reader: PromReader, exporters: Exporters, shop: str, memory: str
) -> None:
    exporters[0].show(lambda t: cadvisor(shop, "p1", 0.5 * t, memory))
    assert (await usage_of(reader, (shop, "p1"))).memory_bytes is None


async def test_pods_whose_node_vanishes_become_unknown_at_once(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(lambda t: cadvisor(shop, "p1", t, 1e6))
    exporters[1].show(lambda t: cadvisor(shop, "p2", t, 1e6))
    await usage_of(reader, (shop, "p1"))
    await usage_of(reader, (shop, "p2"))
    exporters[0].fails = True

    async def gone() -> bool:
        return list(await server_usage(reader, [shop], window_s=WINDOW_S)) == [(shop, "p2")]

    await eventually_async(gone, 20, "only the pod of the other node is known")


async def test_old_samples_are_unknown(reader: PromReader, exporters: Exporters, shop: str) -> None:
    """As cAdvisor does, the exporter dates its samples itself: twenty seconds ago."""
    exporters[0].show(
        lambda t: "".join(
            f"{line} {round((time.time() - 20) * 1000)}\n"
            for line in cadvisor(shop, "p1", t, 1e6).splitlines()
        )
    )

    async def known() -> bool:
        return bool(await server_usage(reader, [shop], max_age_s=60))

    await eventually_async(known, 20, "known when such an age is fine")
    assert await server_usage(reader, [shop], max_age_s=10) == {}


async def test_no_namespace_or_a_pattern_is_refused(reader: PromReader) -> None:
    assert await server_usage(reader, []) == {}
    with pytest.raises(PromRejected, match="not a DNS label"):
        await server_usage(reader, [".*"])


def liberty(own: str, t: float) -> str:
    return (
        f"memory_usedHeap_bytes{{{own}}} 1e8\nmemory_maxHeap_bytes{{{own}}} 2e8\nthread_count{{{own}}} 40\n"
        f'gc_time_seconds{{{own},name="global"}} {0.1 * t}\ngc_time_seconds{{{own},name="scavenge"}} {0.1 * t}\n'
    )


def liberty_4(own: str, t: float) -> str:
    return "".join(f"base_{line}\n" for line in liberty(own, t).splitlines())


def micrometer(own: str, t: float) -> str:
    pools = (("eden", "heap", 4e7, -1), ("old", "heap", 6e7, 2e8), ("metaspace", "nonheap", 9e9, 9e9))
    return (
        "".join(
            f'jvm_memory_used_bytes{{{own},id="{pool}",area="{area}"}} {used}\n'
            f'jvm_memory_max_bytes{{{own},id="{pool}",area="{area}"}} {most}\n'
            for pool, area, used, most in pools
        )
        + f'jvm_gc_pause_seconds_sum{{{own},action="x"}} {0.2 * t}\njvm_threads_live_threads{{{own}}} 40\n'
    )


def jmx_exporter(own: str, t: float) -> str:
    return (
        f'jvm_memory_bytes_used{{{own},area="heap"}} 1e8\njvm_memory_bytes_max{{{own},area="heap"}} 2e8\n'
        f'jvm_gc_collection_seconds_sum{{{own},gc="G1"}} {0.2 * t}\njvm_threads_current{{{own}}} 40\n'
    )


@pytest.mark.parametrize("exported", [liberty, liberty_4, micrometer, jmx_exporter])
async def test_jvm_figures_have_the_same_meaning_whoever_exports_them(
    reader: PromReader, exporters: Exporters, shop: str, exported: object
) -> None:
    assert callable(exported)
    exporters[0].show(lambda t: exported(f'namespace="{shop}",pod="p1"', t))

    async def found() -> Jvm | None:
        jvm = (await jvms(reader, [shop], window_s=WINDOW_S)).get((shop, "p1"))
        return jvm if jvm and jvm.gc_share is not None else None

    jvm = await eventually_async(found, 30, "all figures are known")
    assert jvm is not None
    assert (jvm.heap_used_bytes, jvm.heap_max_bytes, jvm.threads) == (1e8, 2e8, 40)
    assert jvm.gc_share == pytest.approx(0.2, rel=0.3)


async def test_a_heap_without_limit_has_no_maximum(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(lambda t: liberty(f'namespace="{shop}",pod="p1"', t).replace("2e8", "-1"))

    async def found() -> Jvm | None:
        return (await jvms(reader, [shop], window_s=WINDOW_S)).get((shop, "p1"))

    jvm = await eventually_async(found, 30, "the JVM is known")
    assert jvm is not None
    assert jvm.heap_max_bytes is None
