"""Routes of apps with affinity on one real router, at their most: while a whole edition drains, every session is told
by its server. Bytes and time until a change is acknowledged, and time of a request that has to be told."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias
from unittest.mock import patch

from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match
from millpond.router.xds import session

from tests.bench.figures import Figure

SIZES = (1, 2, 10, 100, 1000)
_COOKIE = "cart-session"
_TURNS = 10
_REQUESTS = 300
_sent = [0]
Apps: TypeAlias = Callable[[int, int], Mapping[str, AppRoutes]]
"""The apps with so many servers of one of them draining, and so many of its old edition gone."""


def figures() -> Iterator[Figure]:
    for number in SIZES:
        of = f"1 app x {number} + {number} servers"
        yield from asyncio.run(_measured(of, number, partial(_one, number)))
    yield from asyncio.run(_measured("1000 apps x 5 + 5 servers", 5, _thousand))


def _app(name: str, number: int, draining: int = 0, gone: int = 0) -> AppRoutes:
    first = 10 * int(name)
    old = (_endpoint(first + n, draining=True) for n in range(gone, number))
    new = (_endpoint(first + number + n, draining=n < draining) for n in range(number))
    editions = (
        EditionRoute(name="v1", endpoints=tuple(old), weight=0),
        EditionRoute(name="v2", endpoints=tuple(new)),
    )
    matches = (Match(host=f"app-{name}.test"),)
    return AppRoutes(key=f"shop/{name}", matches=matches, editions=editions, affinity_cookie=_COOKIE)


def _endpoint(n: int, *, draining: bool) -> Endpoint:
    return Endpoint(address=f"127.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}", port=9, draining=draining)


def _one(number: int, draining: int, gone: int) -> Mapping[str, AppRoutes]:
    return {"shop/0": _app("0", number, draining, gone)}


def _thousand(draining: int, gone: int) -> Mapping[str, AppRoutes]:
    return {f"shop/{n}": _app(str(n), 5, *((draining, gone) if n == 0 else ())) for n in range(1000)}


async def _measured(of: str, number: int, apps: Apps) -> Iterable[Figure]:
    from router.world import open_world

    async with AsyncExitStack() as stack:
        stack.enter_context(patch.object(session, "response", _counted))
        world = await open_world(stack)
        world.router()
        await world.settled({})
        whole = await _took(world, apps(0, 0))
        drains = [await _took(world, apps(1 - turn % 2, 0)) for turn in range(_TURNS)]
        ends = [await _took(world, apps(0, 1 - turn % 2)) for turn in range(_TURNS)]
        request_ms = await _request_ms(world, number)
    return [
        *_cost(f"{of}, whole configuration", [whole]),
        *_cost(f"{of}, one server begins to drain", drains),
        *_cost(f"{of}, one server of the old edition goes", ends),
        Figure(what=f"{of}, a request that is told by its server", goal=5, reached=request_ms, unit="ms"),
    ]


def _counted(*arguments: Any) -> bytes:
    found = _RESPONSE(*arguments)
    _sent[0] += len(found)
    return found


_RESPONSE = session.response


async def _took(world: Any, apps: Mapping[str, AppRoutes]) -> tuple[float, int]:
    before, start_s = _sent[0], time.perf_counter()
    await world.settled(apps)
    return 1000 * (time.perf_counter() - start_s), _sent[0] - before


def _cost(of: str, found: list[tuple[float, int]]) -> Iterator[Figure]:
    took_ms, size = (statistics.median(values) for values in zip(*found, strict=True))
    yield Figure(what=f"{of}: until acknowledged", goal=5000, reached=took_ms, unit="ms")
    yield Figure(what=f"{of}: sent", goal=10_000, reached=size / 1000, unit="kB")


async def _request_ms(world: Any, number: int) -> float:
    """One after the other, of a session whose server is gone: compared with all that drain, before it gets another."""
    app, server, router = _app("0", number), await world.server("one"), world.router("r2")
    new = EditionRoute(name="v2", endpoints=(server.endpoint,))
    await world.settled({app.key: replace(app, editions=(app.editions[0], new))}, routers=2)
    await world.serving(router)
    cookies = {"millpond-edition": "v1", _COOKIE: "Cg8xMjcuMS4wLjE6NjU1MzU="}
    took_ms = []
    for _ in range(_REQUESTS):
        start_s = time.perf_counter()
        assert (await world.get(router, host="app-0.test", cookies=cookies)).text == "one"
        took_ms.append(1000 * (time.perf_counter() - start_s))
    return statistics.median(took_ms)
