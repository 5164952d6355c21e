"""Response times behind other proxies, from a real Prometheus that scrapes what these proxies export."""

import asyncio
import time
from collections.abc import Callable, Mapping

import pytest

from millpond.prom.errors import PromError, PromRejected, PromUnknown
from millpond.prom.reader import PromReader
from millpond.prom.response import Response, response_time

from prom.exporter import Exporter, histogram
from waiting import eventually_async

pytestmark = pytest.mark.integration

MS = (50, 100, 250, 500, 1000)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1)
WINDOW_S = 1.2
Exporters = tuple[Exporter, ...]
Show = Callable[[str, float], str]
"""(namespace, requests so far) -> page: a tenth are errors, each takes 200 ms."""


def envoy(namespace: str, n: float) -> str:
    own = f'namespace="{namespace}",envoy_cluster_name="shop"'
    page = histogram("envoy_cluster_upstream_rq_time", own, n, 200, MS)
    page += f"envoy_cluster_upstream_rq_completed{{{own}}} {n}\n"
    for code, share in (("2", 0.9), ("5", 0.1)):
        page += f'envoy_cluster_upstream_rq_xx{{{own},envoy_response_code_class="{code}"}} {n * share}\n'
    return page


def nginx(namespace: str, n: float) -> str:
    own = f'exported_namespace="{namespace}",namespace="ingress",ingress="shop",status='
    name = "nginx_ingress_controller_request_duration_seconds"
    return "".join(
        histogram(name, f'{own}"{c}"', n * s, 0.2, SECONDS) for c, s in (("200", 0.9), ("503", 0.1))
    )


def nginx_honoured(namespace: str, n: float) -> str:
    return (
        nginx(namespace, n).replace('exported_namespace="', 'namespace="').replace(',namespace="ingress"', "")
    )


def istio(namespace: str, n: float) -> str:
    own = f'destination_service_namespace="{namespace}",destination_workload="shop",reporter='
    page = ""
    for reporter in ("destination", "source"):
        labels = f'{own}"{reporter}"'
        page += histogram("istio_request_duration_milliseconds", labels, n, 200, MS)
        page += f'istio_requests_total{{{labels},response_code="200"}} {n * 0.9}\n'
        page += f'istio_requests_total{{{labels},response_code="500"}} {n * 0.1}\n'
    return page


def liberty(namespace: str, n: float) -> str:
    own = f'namespace="{namespace}",app="shop",http_response_status_code='
    name = "http_server_request_duration_seconds"
    return "".join(
        histogram(name, f'{own}"{c}"', n * s, 0.2, SECONDS) for c, s in (("200", 0.9), ("500", 0.1))
    )


def servlet(namespace: str, n: float) -> str:
    own = f'{{namespace="{namespace}",mp_scope="vendor",servlet="shop"}}'
    return f"servlet_request_total{own} {n}\nservlet_responseTime_total_seconds{own} {n * 0.2}\n"


async def eventually_answered(
    reader: PromReader, preset: str, labels: Mapping[str, str], namespace: str, **more: float
) -> Response:
    """The first answer that rests on a whole window."""

    async def answer() -> Response | None:
        try:
            found = await response_time(reader, preset, labels, WINDOW_S, namespace=namespace, **more)
        except PromUnknown:
            return None
        return found if found.complete and found.window_s == WINDOW_S else None

    found = await eventually_async(answer, 30, f"{preset} is scraped for a whole window")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("show", "preset", "labels", "percentile"),
    [
        pytest.param(envoy, "envoy", {"envoy_cluster_name": "shop"}, 90, id="envoy"),
        pytest.param(nginx, "nginx-ingress", {"ingress": "shop"}, 90, id="nginx ingress"),
        pytest.param(nginx_honoured, "nginx-ingress", {"ingress": "shop"}, 90, id="nginx, labels honoured"),
        pytest.param(istio, "istio", {"destination_workload": "shop"}, 90, id="istio, counted once"),
        pytest.param(liberty, "open-liberty", {"app": "shop"}, 90, id="open liberty"),
        pytest.param(servlet, "open-liberty", {"servlet": "shop"}, None, id="open liberty's servlets"),
    ],
)
async def test_a_preset_tells_rate_errors_mean_and_percentile(
    reader: PromReader, exporters: Exporters, shop: str,
    show: Show, preset: str, labels: dict[str, str], percentile: float | None,
) -> None:  # fmt: skip
    exporters[0].show(lambda t: show(shop, 1000 + 50 * t) + show("other", 7000 * t))
    more = {} if percentile is None else {"percentile": percentile}
    found = await eventually_answered(reader, preset, labels, shop, **more)
    assert found.rate_rps == pytest.approx(50, rel=0.3)
    assert found.mean_ms == pytest.approx(200, rel=0.02)
    assert found.complete
    if percentile is None:
        assert (found.percentile_ms, found.histogram, found.errors) == (None, (), None)
    else:
        assert found.percentile_ms == pytest.approx(100 + 150 * 0.9, rel=0.06)
        assert sum(found.histogram) == pytest.approx(found.requests, abs=1)
        assert found.error_rps == pytest.approx(found.rate_rps / 10, rel=0.1)


async def ask(reader: PromReader, namespace: str, **more: float) -> Response:
    labels = {"envoy_cluster_name": "shop"}
    return await response_time(reader, "envoy", labels, WINDOW_S, namespace=namespace, **more)


async def test_no_traffic_is_a_true_zero(reader: PromReader, exporters: Exporters, shop: str) -> None:
    exporters[0].show(lambda _: envoy(shop, 1000))
    found = await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop, percentile=90)
    assert (found.requests, found.errors, found.mean_ms, found.percentile_ms) == (0, 0, None, None)


async def test_an_unknown_app_is_unknown_not_idle(reader: PromReader, shop: str) -> None:
    with pytest.raises(PromUnknown, match="no series of envoy_cluster_upstream_rq_time_count"):
        await ask(reader, shop)


async def test_another_namespace_sees_nothing(reader: PromReader, exporters: Exporters, shop: str) -> None:
    exporters[0].show(lambda t: envoy(shop, 50 * t))
    await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    with pytest.raises(PromUnknown, match="no series"):
        await ask(reader, f"{shop}-2")


async def test_a_counter_that_starts_again_gives_no_negative_rate(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(lambda t: envoy(shop, 100_000 + 50 * t))
    await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    exporters[0].show(lambda t: envoy(shop, 50 * t))
    for _ in range(10):
        found = await ask(reader, shop)
        assert 0 <= found.rate_rps < 100
        assert found.mean_ms == pytest.approx(200, rel=0.02)
        await asyncio.sleep(0.1)


async def test_proxies_that_vanish_make_the_answer_incomplete_until_they_return(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    for exporter in exporters:
        exporter.show(lambda t: envoy(shop, 25 * t))
    whole = await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    assert whole.complete
    for exporter in exporters[:2]:
        exporter.fails = True

    async def halved() -> bool:
        return (await ask(reader, shop)).rate_rps < whole.rate_rps * 0.6

    async def complete() -> bool:
        return (await ask(reader, shop)).complete

    await eventually_async(halved, 20, "the load looks halved")
    assert not await complete()
    for exporter in exporters[:2]:
        exporter.fails = False
    await eventually_async(complete, 20, "all proxies report again")


async def test_frozen_samples_are_noticed_by_their_age(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    """The scrape succeeds, but the exporter's own timestamps stand still."""
    frozen_ms = 0

    def page(t: float) -> str:
        at_ms = frozen_ms or round(time.time() * 1000)
        return "".join(f"{line} {at_ms}\n" for line in envoy(shop, 50 * t).splitlines())

    exporters[0].show(page)
    await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    frozen_ms = round(time.time() * 1000)

    async def unknown() -> str | None:
        try:
            await ask(reader, shop)
        except PromUnknown as error:
            return str(error)
        return None

    said = await eventually_async(unknown, 30, "frozen samples are unknown")
    assert said
    assert "old" in said or "hold" in said


@pytest.mark.parametrize("clock_off_s", [300.0, -300.0])
async def test_samples_far_from_our_own_time_are_unknown(
    scraped: tuple[str, Exporters], reader: PromReader, exporters: Exporters, shop: str, clock_off_s: float
) -> None:
    exporters[0].show(lambda t: envoy(shop, 50 * t))
    await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    elsewhere = PromReader(scraped[0], clock=lambda: time.time() + clock_off_s)
    with pytest.raises(PromUnknown, match="300 s old"):
        await ask(elsewhere, shop)
    await elsewhere.close()


@pytest.mark.parametrize("value", ["NaN", "+Inf", "1e308"])
async def test_sums_that_are_no_time_are_unknown(
    reader: PromReader, exporters: Exporters, shop: str, value: str
) -> None:
    own = f'{{namespace="{shop}",envoy_cluster_name="shop"}}'
    name = "envoy_cluster_upstream_rq_time"
    counts = f"{name}_count{own} %s\nenvoy_cluster_upstream_rq_completed{own} %s\n"
    huge = f"{name}_sum{own} %s\n{counts}"
    exporters[0].show(lambda t: huge % (value if t > 1.5 else 0, 50 * t, 50 * t))

    async def refused() -> str | None:
        try:
            await ask(reader, shop)
        except PromUnknown as error:
            return str(error) if "total" in str(error) else None
        return None

    assert await eventually_async(refused, 20, "the sum is unknown")


async def test_buckets_that_are_not_exported_refuse_a_percentile_only(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(
        lambda t: "\n".join(line for line in envoy(shop, 50 * t).splitlines() if "_bucket" not in line) + "\n"
    )
    found = await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    assert found.mean_ms == pytest.approx(200, rel=0.02)
    with pytest.raises(PromRejected, match="without buckets, so no percentile"):
        await ask(reader, shop, percentile=95)


async def test_errors_without_any_status_are_unknown_not_none(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(
        lambda t: "\n".join(line for line in envoy(shop, 50 * t).splitlines() if "rq_xx" not in line) + "\n"
    )
    found = await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    assert found.errors is None


async def test_requests_of_envoy_are_counted_even_between_its_flushes(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    """Envoy's histogram stands still for five seconds, its counters don't."""

    def page(t: float) -> str:
        lines = envoy(shop, 50 * t).splitlines()
        flushed = envoy(shop, 50 * (t - t % 0.8)).splitlines()
        return "".join(f"{f if 'rq_time' in f else line}\n" for line, f in zip(lines, flushed, strict=True))

    exporters[0].show(page)
    found = await eventually_answered(reader, "envoy", {"envoy_cluster_name": "shop"}, shop)
    assert found.rate_rps == pytest.approx(50, rel=0.3)
    assert found.mean_ms == pytest.approx(200, rel=0.02)


async def test_requests_without_any_measured_time_are_unknown(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(
        lambda t: "".join(
            f"{line if 'rq_time' not in line else line.rsplit(' ', 1)[0] + ' 7'}\n"
            for line in envoy(shop, 50 * t).splitlines()
        )
    )

    async def refused() -> str | None:
        try:
            await ask(reader, shop)
        except PromUnknown as error:
            return str(error) if "no response time" in str(error) else None
        return None

    assert await eventually_async(refused, 20, "no response times")


async def test_a_window_that_scrapes_are_too_seldom_for_is_widened(
    reader: PromReader, exporters: Exporters, shop: str
) -> None:
    exporters[0].show(lambda t: envoy(shop, 50 * t))
    labels = {"envoy_cluster_name": "shop"}

    async def widened() -> Response | None:
        try:
            return await response_time(reader, "envoy", labels, 0.4, namespace=shop)
        except PromError:
            return None

    found = await eventually_async(widened, 20, "enough samples in a wider window")
    assert found is not None
    assert found.window_s > 0.4
