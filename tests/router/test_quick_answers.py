"""Answers that take under a millisecond: the router counts whole ones, and what is learned of them is a time."""

import asyncio
from dataclasses import replace

import pytest

from millpond.control.learn.knowledge import from_routers
from millpond_policies.learn.histogram import add
from millpond_policies.learn.learning import Memory, Sample, learn
from millpond_policies.plan import plan
from millpond_policies.world.model import Snapshot

from policies.building import GOAL
from policies.building import app as sized
from policies.building import serving as servers
from router.world import Server, World, app

pytestmark = pytest.mark.integration


class Quick(Server):
    """Answers as soon as it has read a request, without a thought."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


async def test_a_server_that_answers_at_once_is_learned_from_and_sized(world: World) -> None:
    server = await world.server("quick", Quick)
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    memory, histogram, sum_ms = Memory(), (), 0.0
    for _ in range(12):
        for _ in range(3):
            await world.get(router)
        collected = (await world.collected(lambda c: c.complete, "a report"))[-1]
        seen = from_routers(collected, "shop/cart", "v1")
        histogram, sum_ms = add((histogram, seen.histogram)), sum_ms + seen.sum_ms
        sample = Sample(
            at_s=seen.at_s,
            window_s=seen.window_s,
            requests=seen.requests,
            sum_ms=seen.sum_ms,
            histogram=seen.histogram,
            in_flight=0,
            serving=1,
        )
        memory = learn(memory, sample, GOAL)
        view = replace(sized(servers(1), memory=memory), key="shop/cart")
        plan(Snapshot(apps=(view,)), seen.at_s)
    assert sum(histogram) >= 20
    assert sum_ms < 5 * sum(histogram), "they are quick"
    assert memory.capacity.base_ms is not None
    assert memory.capacity.base_ms >= 0.5
