"""Routers asked directly: their counts are right at once, and silence is never taken for zero."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

import pytest

from millpond.router.config import Endpoint
from millpond.router.process.envoy import RouterProcess
from millpond.router.telemetry import ask as asking
from millpond.router.telemetry.collector import EndpointLoad

from router.world import FAMILIES, Server, World, app
from waiting import eventually

pytestmark = [pytest.mark.integration, FAMILIES]


async def test_the_counts_are_those_of_the_servers_at_this_very_moment(world: World) -> None:
    servers = [await world.server("one"), await world.server("two")]
    router = await _serving(world, servers)
    addresses = [server.address for server in servers]
    assert _numbers(await world.control.ask(addresses)) == dict.fromkeys(addresses, (0, 0, 0))
    running = [asyncio.create_task(world.get(router, "/?sleep=2")) for _ in range(9)]
    events = {"accept": "text/event-stream"}
    streams = [asyncio.create_task(world.get(router, "/?sleep=2", headers=events)) for _ in range(4)]
    await eventually(lambda: _reached(servers, 13), 5, "all have reached a server")
    found = await world.control.ask(addresses)
    assert found is not None
    assert {a: load.active + load.streams for a, load in found.items()} == {
        s.address: s.active for s in servers
    }
    assert sum(load.active for load in found.values()) == 9
    assert sum(load.streams for load in found.values()) == 4
    assert {a: load.total for a, load in found.items()} == {s.address: s.requests for s in servers}
    assert {load.pending for load in found.values()} == {0}
    assert all(load.at_s > 0 for load in found.values())
    await asyncio.gather(*running, *streams)
    await eventually(lambda: _idle(world, addresses), 1, "asked again it is zero, long before a report")


async def test_a_request_that_waits_for_its_connection_is_pending(world: World) -> None:
    router = world.router()
    with _unaccepting() as silent:
        await world.settled(app(silent))
        await world.serving(router)
        waiting = asyncio.create_task(world.get(router))
        await eventually(lambda: _pending(world, silent.authority), 2, "it is pending")
        waiting.cancel()


SPELLINGS = [
    "::1",
    "0:0:0:0:0:0:0:1",
    "FD00::0A",
    "fd00:1234:5678:9abc:def0:1234:5678:9abc",
    "::ffff:127.0.0.1",
]


@pytest.mark.parametrize("address", SPELLINGS)
async def test_an_ipv6_server_is_found_in_statistics_and_reports_by_its_one_name(
    world: World, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    router, endpoint = world.router(), Endpoint(address=address, port=9)
    reports: list[bytes] = []
    monkeypatch.setattr(world.control.telemetry, "receive", lambda _, body: reports.append(body))
    await world.settled(app(endpoint, Endpoint(address="127.0.0.1", port=9)))
    name = endpoint.authority
    found = await _statistics(world, router, name)
    labels = f'envoy_cluster_name="shop/cart/v1",envoy_endpoint_address="{name}"'
    assert f"envoy_cluster_endpoint_rq_active{{{labels}}} 0" in found
    assert '"127.0.0.1:9"' not in found
    await eventually(
        lambda: _true(any(name.encode() in report for report in reports)), 5, "it is reported so"
    )


async def test_two_routers_are_added_and_a_frozen_one_makes_it_unknown(world: World) -> None:
    server = await world.server("one")
    routers = [world.router("r1"), world.router("r2")]
    await world.settled(app(server.endpoint), routers=2)
    for router in routers:
        await world.serving(router)
    running = [
        asyncio.create_task(world.get(router, "/?sleep=3")) for router in (*routers, *routers, routers[0])
    ]
    await eventually(lambda: _reached([server], 5), 5, "all have reached the server")
    assert _numbers(await world.control.ask([server.address])) == {server.address: (5, 0, 5)}
    os.kill(routers[1].pid, signal.SIGSTOP)
    start_s = time.monotonic()
    assert await world.control.ask([server.address]) is None
    assert time.monotonic() - start_s < 1.5
    os.kill(routers[1].pid, signal.SIGCONT)
    await eventually(lambda: world.control.ask([server.address]), 2, "it answers again")
    assert {(await task).status for task in running} == {200}


async def test_a_dead_router_counts_no_more_and_the_others_answer(world: World) -> None:
    server = await world.server("one")
    dead, alive = world.router("r1"), world.router("r2")
    await world.settled(app(server.endpoint), routers=2)
    await world.serving(alive)
    dead.kill()
    running = asyncio.create_task(world.get(alive, "/?sleep=1"))
    await eventually(lambda: _reached([server], 1), 5, "it has reached the server")
    found = await eventually(lambda: world.control.ask([server.address]), 3, "the living one is enough")
    assert _numbers(found) == {server.address: (1, 0, 1)}
    assert (await running).status == 200


async def test_nothing_is_known_while_routers_of_an_earlier_operator_may_still_come_back(
    world: World,
) -> None:
    server = await world.server("one")
    await world.control.stop()
    await world.start_control(reunion_s=0.5)
    assert await world.control.ask([server.address]) is None
    found = await eventually(lambda: world.control.ask([server.address]), 5, "nobody is there")
    assert _numbers(found) == {server.address: (0, 0, 0)}


async def test_many_servers_are_asked_for_in_one_go(world: World) -> None:
    endpoints = [Endpoint(address=f"127.0.{n // 250}.{n % 250 + 1}", port=9) for n in range(600)]
    world.router()
    await world.settled(app(*endpoints))
    found = await world.control.ask([endpoint.authority for endpoint in endpoints])
    assert found is not None
    assert len(found) == 600


async def _serving(world: World, servers: Sequence[Server]) -> RouterProcess:
    router = world.router()
    await world.settled(app(*(server.endpoint for server in servers)))
    await world.serving(router)
    return router


async def _statistics(world: World, router: RouterProcess, endpoint: str) -> str:
    url = f"http://{router.stats}/stats/prometheus?filter={quote(asking.names([endpoint]))}"
    async with world.http.get(url) as response:
        return await response.text()


@contextmanager
def _unaccepting() -> Iterator[Endpoint]:
    """A server whose queue of connections is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield Endpoint(address="127.0.0.1", port=listener.getsockname()[1])


def _numbers(found: Mapping[str, EndpointLoad] | None) -> Mapping[str, tuple[int, int, int]]:
    assert found is not None
    return {address: (load.active, load.streams, load.total) for address, load in found.items()}


async def _reached(servers: Sequence[Server], number: int) -> bool:
    return sum(server.active for server in servers) == number


async def _idle(world: World, addresses: Sequence[str]) -> bool:
    found = await world.control.ask(addresses)
    return found is not None and not any(load.active + load.pending + load.streams for load in found.values())


async def _pending(world: World, address: str) -> bool:
    found = await world.control.ask([address])
    return found is not None and (found[address].pending, found[address].active) == (1, 0)


async def _true(value: bool) -> bool:
    return value
