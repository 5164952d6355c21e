"""Real routers in front of small real servers that count what they get, and clients that count what they sent."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web

from millpond.clock import now_s
from millpond.ports import free_port
from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match
from millpond.router.envoy.listeners import Edge
from millpond.router.process.envoy import RouterProcess
from millpond.router.telemetry.collector import Collected
from millpond.router.xds.control import Published, RouterControl

from waiting import eventually

HOST = "shop.test"


class Server:
    """Answers its name; `?sleep=S` first takes its time, `?status=N` chooses the status."""

    host = "127.0.0.1"
    """Its own address; see `World.host`."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, free_port()
        self.requests = 0
        self.active = 0
        self._runner: web.AppRunner | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(address=self.host, port=self.port)

    @property
    def draining(self) -> Endpoint:
        return Endpoint(address=self.host, port=self.port, draining=True)

    @property
    def address(self) -> str:
        return self.endpoint.authority

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.active += 1
        try:
            await asyncio.sleep(float(request.query.get("sleep", 0)))
            return web.Response(text=self.name, status=int(request.query.get("status", 200)))
        finally:
            self.active -= 1


S = TypeVar("S", bound=Server)


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    cookies: Mapping[str, str]


@dataclass
class Load:
    """Clients that send one request after the other until they are stopped."""

    answers: list[Answer | Exception] = field(default_factory=list)

    @property
    def failed(self) -> list[Answer | Exception]:
        return [a for a in self.answers if not isinstance(a, Answer) or a.status != 200]

    async def until_more(self, number: int) -> None:
        goal = len(self.answers) + number
        await eventually(_asked(lambda: len(self.answers) >= goal), 10, f"{number} more answers")


def _asked(predicate: Callable[[], bool]) -> Callable[[], Any]:
    async def ask() -> bool:
        return predicate()

    return ask


async def published(
    control: RouterControl, apps: Mapping[str, AppRoutes], *, deadline_s: float = 2.0
) -> Published:
    """Publish, and look again at whatever changes, until no router is waited for or the deadline comes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(deadline_s):
            while control.publish(apps).waiting:
                control.changed.clear()
                await control.changed.wait()
    return control.publish(apps)


class World:
    """Everything that a test starts, and that ends with it."""

    def __init__(self, stack: AsyncExitStack, folder: Path, host: str) -> None:
        """`host`: the loopback address of all that is started."""
        self._stack, self.folder, self.host = stack, folder, host
        self.xds = f"unix:{folder}/xds.sock"
        self.http: aiohttp.ClientSession
        self.control: RouterControl

    async def server(self, name: str, kind: type[S] = Server) -> S:  # type: ignore[assignment]
        server = kind(name)
        server.host = self.host
        await server.start()
        self._stack.push_async_callback(server.stop)
        return server

    async def start_control(
        self, *, reunion_s: float = 0.0, listen: str | None = None, **more: Any
    ) -> RouterControl:
        """`more`: what else a RouterControl takes."""
        self.control = RouterControl(listen=listen or self.xds, clock=now_s, reunion_s=reunion_s, **more)
        await self.control.start()
        self._stack.push_async_callback(self.control.stop)
        return self.control

    def router(
        self, name: str = "r1", *, xds: str | None = None, listen: str | None = None, **edge: Any
    ) -> RouterProcess:
        """`edge`: what its listeners have besides the address, see `Edge`."""
        listen = listen or self.address()
        router = RouterProcess(
            name=name,
            xds=xds or self.xds,
            listen=listen,
            stats=self.address(),
            folder=self.folder / name,
            edge=Edge(listen=listen, **edge),
        )
        router.start()
        self._stack.callback(router.kill)
        return router

    def address(self) -> str:
        """A free one."""
        return Endpoint(address=self.host, port=free_port()).authority

    def on_end(self, end: Callable[[], Awaitable[None]]) -> None:
        self._stack.push_async_callback(end)

    async def serving(self, router: RouterProcess) -> None:
        await eventually(lambda: asyncio.to_thread(router.ready), 10, f"{router.name} serves")

    async def settled(self, apps: Mapping[str, AppRoutes], *, routers: int = 1) -> Published:
        """Publish until so many routers serve it all."""

        async def done() -> Published | None:
            published = await self.publish(apps)
            serving = sum(state.maybe_serving for state in self.control.routers())
            accepted = apps.keys() - published.rejected.keys()
            return published if serving == routers and published.confirmed == accepted else None

        found = await eventually(done, 60, f"{routers} routers serve it")
        assert found is not None
        return found

    async def publish(self, apps: Mapping[str, AppRoutes], *, deadline_s: float = 2.0) -> Published:
        """What has been acknowledged when all have answered, or at the deadline."""
        return await published(self.control, apps, deadline_s=deadline_s)

    async def get(
        self,
        router: RouterProcess,
        path: str = "/",
        *,
        host: str = HOST,
        cookies: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Answer:
        headers = {"host": host, **(headers or {})}
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        async with self.http.request(method, f"http://{router.listen}{path}", headers=headers) as response:
            text = await response.text()
            return Answer(response.status, text, {n: c.value for n, c in response.cookies.items()})

    async def many(self, number: int, send: Callable[[], Awaitable[Answer]]) -> list[Answer]:
        return list(await asyncio.gather(*(send() for _ in range(number))))

    def load(
        self, router: RouterProcess, *, clients: int = 8, cookies: Mapping[str, str] | None = None
    ) -> Load:
        """Starts sending at once; `finish` stops it after the last answers."""
        load, stop = Load(), asyncio.Event()

        async def client() -> None:
            while not stop.is_set():
                try:
                    load.answers.append(await self.get(router, cookies=cookies))
                except aiohttp.ClientError as error:
                    load.answers.append(error)
                await asyncio.sleep(0.005)

        tasks = [asyncio.create_task(client()) for _ in range(clients)]

        async def finish() -> None:
            stop.set()
            await asyncio.gather(*tasks)

        self._finish = finish
        self._stack.push_async_callback(finish)
        return load

    async def finish(self) -> None:
        """Stop the load and wait for its last answers."""
        await self._finish()

    async def collected(self, wanted: Callable[[Collected], bool], why: str) -> list[Collected]:
        """Everything that telemetry collects until a collection is as wanted."""
        found: list[Collected] = []

        async def ask() -> bool:
            collected = self.control.telemetry.collect(now_s())
            found.extend([collected] if collected else [])
            return collected is not None and wanted(collected)

        await eventually(ask, 10, why)
        return found


async def open_world(stack: AsyncExitStack, host: str = "127.0.0.1") -> World:
    folder = Path(tempfile.mkdtemp(prefix="millpond-"))  # short: socket paths are at most 107 bytes long
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    world = World(stack, folder, host)
    world.http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(30),
    )
    stack.push_async_callback(world.http.close)
    await world.start_control()
    return world


def app(
    *endpoints: Endpoint, key: str = "shop/cart", hosts: tuple[str, ...] = (HOST,), cookie: str | None = None
) -> dict[str, AppRoutes]:
    """An app of one edition, v1."""
    edition = EditionRoute(name="v1", endpoints=endpoints)
    matches = tuple(Match(host=host) for host in hosts)
    return {key: AppRoutes(key=key, matches=matches, editions=(edition,), affinity_cookie=cookie)}


def editions(*found: EditionRoute, cookie: str | None = None) -> dict[str, AppRoutes]:
    return {
        "shop/cart": AppRoutes(
            key="shop/cart", matches=(Match(host=HOST),), editions=found, affinity_cookie=cookie
        )
    }


FAMILIES = pytest.mark.parametrize(
    "world", [pytest.param("127.0.0.1", id="IPv4"), pytest.param("::1", id="IPv6")], indirect=True
)
"""The whole world, servers and routers, on either loopback address."""
