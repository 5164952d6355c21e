"""Telemetry equals what was sent: counts exactly, times within the router's precision, and zeros only when true."""

import asyncio
import os
import signal
import time

import pytest

from millpond.router.config import cluster_name
from millpond.router.telemetry.collector import Collected, EditionSecond
from millpond_policies.learn import histogram

from router.world import FAMILIES, Answer, World, app

pytestmark = [pytest.mark.integration, FAMILIES]
EDITION = cluster_name("shop/cart", "v1")


async def test_counts_are_exact_and_times_are_close(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    await world.collected(lambda c: c.complete, "the first report")
    took_ms: list[float] = []

    async def timed(path: str) -> Answer:
        start_s = time.perf_counter()
        answer = await world.get(router, path)
        took_ms.append(1000 * (time.perf_counter() - start_s))
        return answer

    quick = await world.many(60, lambda: timed("/?sleep=0.05"))
    slow = await world.many(40, lambda: timed("/?sleep=0.3"))
    failed = await world.many(7, lambda: timed("/?sleep=0.05&status=500"))
    assert len(quick + slow + failed) == server.requests
    seconds = await _until_sum(world, 107)
    assert sum(s.errors for s in seconds) == 7
    buckets = histogram.add(s.histogram for s in seconds)
    assert sum(buckets) == 107
    mean_ms = sum(s.sum_ms for s in seconds) / 107
    # Envoy's own precision is 5 %. Clients can't have waited for less than the router did.
    assert 0.95 * (67 * 50 + 40 * 300) / 107 <= mean_ms <= 1.05 * sum(took_ms) / 107
    assert (histogram.percentile_ms(buckets, 1) or 0) >= 45
    assert (histogram.percentile_ms(buckets, 75) or 0) >= 270


async def test_a_request_that_no_server_answered_counts_as_an_error(world: World) -> None:
    gone = await world.server("gone")
    router = world.router()
    unserved = app(gone.draining, key="shop/draining", hosts=("draining.test",))
    await world.settled(app(gone.endpoint) | unserved)
    await world.serving(router)
    await gone.stop()
    await world.collected(lambda c: c.complete, "the first report")
    answers = await world.many(5, lambda: world.get(router))
    answers += await world.many(3, lambda: world.get(router, host="draining.test"))
    assert {answer.status for answer in answers} == {503}
    seconds = await _until_sum(world, 8, EDITION, "shop/draining/v1")
    assert sum(s.errors for s in seconds) == 8


async def test_in_flight_and_the_servers_load_are_seen_while_requests_run(world: World) -> None:
    servers = [await world.server("one"), await world.server("two")]
    router = world.router()
    await world.settled(app(*(server.endpoint for server in servers)))
    await world.serving(router)
    running = asyncio.gather(*(world.get(router, "/?sleep=3") for _ in range(12)))
    found = await world.collected(
        lambda c: c.complete and c.editions[EDITION].in_flight == 12, "12 in flight"
    )
    loads = {server.address: found[-1].endpoints[server.address] for server in servers}
    assert {address: load.active + load.pending for address, load in loads.items()} == {
        server.address: server.active for server in servers
    }
    assert sum(load.total for load in loads.values()) == 12
    await running
    await world.collected(lambda c: c.complete and c.editions[EDITION].in_flight == 0, "none in flight")


async def test_an_idle_edition_is_there_with_zeros(world: World) -> None:
    server = await world.server("one")
    world.router()
    await world.settled(app(server.endpoint))
    found = await world.collected(lambda c: c.complete, "a complete collection")
    assert found[-1].editions == {EDITION: EditionSecond()}
    assert found[-1].endpoints[server.address].active == 0
    assert 0.5 < found[-1].window_s < 5


async def test_two_routers_counts_are_added(world: World) -> None:
    server = await world.server("one")
    routers = [world.router("r1"), world.router("r2")]
    await world.settled(app(server.endpoint), routers=2)
    for router in routers:
        await world.serving(router)
        await world.many(25, lambda router=router: world.get(router))  # type: ignore[misc]
    assert sum(s.requests for s in await _until_sum(world, 50)) == 50


async def test_a_silent_router_makes_collections_incomplete_and_its_zeros_unknown(world: World) -> None:
    server = await world.server("one")
    silent, _ = world.router("r1"), world.router("r2")
    await world.settled(app(server.endpoint), routers=2)
    await world.collected(lambda c: c.complete, "both report")
    os.kill(silent.pid, signal.SIGSTOP)
    found = await world.collected(lambda c: not c.complete, "one is silent")
    assert EDITION not in found[-1].editions or found[-1].editions[EDITION].requests == 0
    silent.kill()
    await world.collected(lambda c: c.complete, "the dead one does not count")


async def test_without_routers_nothing_is_complete(world: World) -> None:
    await world.publish(app())
    found = await world.collected(lambda c: True, "patience ends")
    assert not found[-1].complete
    assert not found[-1].editions


async def test_an_app_name_with_dots_is_the_same_in_telemetry(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint, key="shop/cart.example.com"))
    await world.serving(router)
    await world.get(router)
    await world.collected(lambda c: _requests(c, "shop/cart.example.com/v1") == 1, "its request")


def _requests(collected: Collected, edition: str) -> int:
    return collected.editions[edition].requests if edition in collected.editions else 0


async def _until_sum(world: World, requests: int, *editions: str) -> list[EditionSecond]:
    seconds: list[EditionSecond] = []

    def enough(collected: Collected) -> bool:
        seconds.extend(s for name, s in collected.editions.items() if name in (editions or (EDITION,)))
        return sum(second.requests for second in seconds) >= requests

    await world.collected(enough, f"{requests} requests are reported")
    return seconds
