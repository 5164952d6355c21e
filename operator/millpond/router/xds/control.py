"""The operator's side of the routers: one gRPC server for discovery (ADS) and telemetry (OTLP).

`publish` says what all routers shall serve and answers at once what they have acknowledged by now; ``changed`` is set
when that may be more. A router that is slow, stopped or cut off holds up nobody but itself. One that was cut off may
still serve what it had: it counts until it comes back or is lost (`millpond.router.xds.liveness`).
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from envoy.service.discovery.v3 import discovery_pb2

from millpond.clock import Clock
from millpond.router.config import AppRoutes
from millpond.router.envoy.bootstrap import ROUTER_HEADER, router_key
from millpond.router.envoy.resources import Built
from millpond.router.telemetry.ask import ask
from millpond.router.telemetry.collector import EndpointLoad, Scope, Telemetry
from millpond.router.trust.tls import ServerTls, plain_allowed
from millpond.router.xds.liveness import Patience, Presences, unseen
from millpond.router.xds.router import Router
from millpond.router.xds.session import Session
from millpond.router.xds.target import Board, Target

log = logging.getLogger(__name__)
_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_OTLP = "opentelemetry.proto.collector.metrics.v1.MetricsService"
_OPTIONS = (
    # gRPC sheds bursts of more than 1,000 calls that are not accepted yet.
    ("grpc.server.max_pending_requests", 1_000_000),
    ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    ("grpc.max_send_message_length", 256 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)
_GRACE_S = 0.5
_PATIENCE = Patience()
CONDITIONS = ("connected", "cut-off", "silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came of a publication."""

    confirmed: frozenset[str]
    """Apps whose newest configuration every router that may serve has acknowledged."""
    rejected: Mapping[str, str]
    """App -> what is wrong with it, mostly Envoy's words; it stays at its last good configuration."""
    waiting: tuple[str, ...]
    """Routers that may serve something older."""
    lingering: frozenset[str] = frozenset()
    """Apps that are published no more and that some router may still serve."""
    routed: frozenset[str] = frozenset()
    """Apps whose newest servers every router that may serve has acknowledged: those that are confirmed, and those that
    are rejected and go on with their last good configuration and these servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterState:
    id: str
    connected: bool
    maybe_serving: bool
    last_report_s: float | None
    stats: str = ""
    silent_s: float = 0.0
    """Of one that is cut off: for how long it has not answered at its statistics address, either."""

    @property
    def condition(self) -> str:
        """One of CONDITIONS. A cut-off one serves all the same; of a silent one nobody knows."""
        if self.connected:
            return "connected"
        return "silent" if self.silent_s > 0 else "cut-off"

    @property
    def described(self) -> str:
        if self.connected:
            return self.id
        silent = f", silent for {self.silent_s:.0f} s" if self.silent_s > 0 else ""
        return f"{self.id} (cut off{silent}; counts as serving)"


class RouterControl:
    """One per operator. `listen`: "unix:/path" or "ip:port" (port 0: any; see `address`).

    On TCP `tls` says who may connect; without it, only a loopback address will do. A unix socket belongs to its user.

    A new operator may not know of all routers: for `reunion_s` after the start, nothing is confirmed, so that routers
    which an earlier operator configured have time to come back (they try at least once a second).
    """

    def __init__(
        self,
        *,
        listen: str,
        clock: Clock,
        reunion_s: float = 3.0,
        tls: ServerTls | None = None,
        presence: Presences = unseen,
        patience: Patience = _PATIENCE,
    ) -> None:
        self.telemetry = Telemetry(clock=clock, known=self._known)
        self.address = listen
        self._reunion_s, self._reunited_s = reunion_s, float("inf")
        self._clock = clock
        self._presence, self._patience = presence, patience
        self._tls = None if listen.startswith("unix:") else tls
        self._client: aiohttp.ClientSession | None = None
        self._instance = secrets.token_hex(4)
        self._board = Board()
        self._routers: dict[str, Router] = {}
        self.changed = asyncio.Event()
        """Set when a router has acknowledged or refused something, or counts no more."""
        self._streams: dict[str, set[asyncio.Task[None]]] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        """At most one for each router that is cut off."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Any = None
        self._stopping = False

    async def start(self, *, expected: Iterable[tuple[str, str]] = (), complete: bool = False) -> None:
        """Listen. Raises RuntimeError when the address can't be bound, ValueError when it must not be without TLS.

        `expected`: names and statistics addresses of routers that an earlier operator knew: they count until they are
        back or lost. `complete`: there are no others, so nobody else is waited for.
        """
        self._server = grpc.aio.server(options=_OPTIONS + (self._tls.options() if self._tls else ()))
        self._server.add_generic_rpc_handlers(self._handlers())
        port = self._bind()
        if self.address.startswith("unix:"):
            Path(self.address.removeprefix("unix:")).chmod(0o600)
        else:
            self.address = f"{self.address.rpartition(':')[0]}:{port}"
        await self._server.start()
        self._client = aiohttp.ClientSession()
        loop, reunion_s = asyncio.get_running_loop(), 0.0 if complete else self._reunion_s
        self._reunited_s = loop.time() + reunion_s
        loop.call_later(reunion_s, self._stirred)
        for name, stats in expected:
            self._expect(name, stats)

    def _expect(self, name: str, stats: str) -> None:
        key = router_key(name, stats)
        if key not in self._routers:
            router = self._router(name, stats)
            router.stranger()
            self._routers[key] = router
            self._part(key, router)

    def _router(self, name: str, stats: str) -> Router:
        return Router(name=name, stats=stats, board=self._board, moved=self._stirred)

    def _stirred(self) -> None:
        self.changed.set()

    def _bind(self) -> int:
        if self._tls is not None:
            return int(self._server.add_secure_port(self.address, self._tls.credentials()))
        if not plain_allowed(self.address):
            raise ValueError(f"{self.address} is not of this machine only: routers need TLS there")
        return int(self._server.add_insecure_port(self.address))

    async def stop(self) -> None:
        """Leave; the routers keep their configuration. From now on nothing is confirmed."""
        self._stopping, self._reunited_s = True, float("inf")
        for task in self._tasks:
            task.cancel()
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._server is not None:
            await self._server.stop(_GRACE_S)

    def publish(self, apps: Mapping[str, AppRoutes]) -> Published:
        """Make the routers serve exactly these apps; answers at once what they have acknowledged so far.

        Cheap and silent when nothing changed, so it may be called in every cycle, and whenever ``changed`` is set. A
        later call supersedes an earlier one.
        """
        return self._outcome(self._board.publish(apps))

    def routers(self) -> tuple[RouterState, ...]:
        """All that are connected or may still serve."""
        return tuple(
            RouterState(
                id=router.name,
                connected=router.session is not None,
                maybe_serving=router.maybe_serving,
                last_report_s=self.telemetry.last_report_s(key),
                stats=router.stats,
                silent_s=router.silence.seconds,
            )
            for key, router in self._routers.items()
        )

    def by_condition(self) -> Mapping[str, int]:
        """How many routers are in each of CONDITIONS."""
        found = [state.condition for state in self.routers()]
        return {condition: found.count(condition) for condition in CONDITIONS}

    async def ask(self, endpoints: Collection[str]) -> Mapping[str, EndpointLoad] | None:
        """The load of these servers ("ip:port") right now; None when a router that may serve does not say (0.5 s).

        Totals count since the routers know a server: compare them with each other, not with those of telemetry.
        """
        if self._client is None or not self._reunited():
            return None
        routers = [router.stats for router in self._routers.values() if router.maybe_serving]
        return await ask(routers, endpoints, client=self._client, at_s=self._clock())

    def _reunited(self) -> bool:
        return asyncio.get_running_loop().time() >= self._reunited_s

    def _outcome(self, target: Target) -> Published:
        counted = [router for router in self._routers.values() if router.maybe_serving]
        reunited = self._reunited()
        newest = {key: built for key, built in target.wanted.items() if isinstance(built, Built)}
        rejected = self._board.target.rejected

        def served(apps: Mapping[str, Built]) -> frozenset[str]:
            found = (k for k, b in apps.items() if reunited and all(r.serves(k, b) for r in counted))
            return frozenset(found)

        confirmed = served(newest) - rejected.keys()
        return Published(
            confirmed=confirmed,
            routed=confirmed | served(self._board.standins(target)),
            rejected=rejected,
            waiting=tuple(sorted(r.name for r in counted if r.settled < target.version)),
            lingering=frozenset().union(*(router.remnants(target.wanted) for router in counted)),
        )

    def _handlers(self) -> tuple[Any, ...]:
        stream: Any = grpc.stream_stream_rpc_method_handler(
            self._stream, request_deserializer=discovery_pb2.DiscoveryRequest.FromString
        )
        export: Any = grpc.unary_unary_rpc_method_handler(self._export)
        return (
            grpc.method_handlers_generic_handler(_ADS, {"StreamAggregatedResources": stream}),
            grpc.method_handlers_generic_handler(_OTLP, {"Export": export}),
        )

    async def _admit(self, context: Any) -> None:
        """Ends the call of anybody but a router."""
        if self._tls is not None and not self._tls.admits(context):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"only for {self._tls.client}")

    async def _export(self, body: bytes, context: Any) -> bytes:
        await self._admit(context)
        metadata = dict(context.invocation_metadata())
        self.telemetry.receive(str(metadata.get(ROUTER_HEADER, "")), body)
        return b""

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        await self._admit(context)
        first = await anext(requests)
        key, router = self._enter(first)
        lock = asyncio.Lock()

        async def send(message: bytes) -> None:
            async with lock:
                await context.write(message)

        session = Session(instance=self._instance, send=send)
        router.joined(session)
        both = {self._spawn(router.follow(session)), self._spawn(_read(session, first, requests))}
        self._streams[key] = both
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            if router.session is session and not self._stopping:
                router.left(session)
                self._part(key, router)

    def _enter(self, first: Any) -> tuple[str, Router]:
        stats = str(dict(first.node.metadata).get("stats", ""))
        key = router_key(first.node.id, stats)
        known = self._routers.get(key)
        self._unwatch(key)
        if known is not None and known.session is not None:
            for task in self._streams[key]:
                task.cancel()
        if known is None or not first.version_info:
            self._routers[key] = self._router(first.node.id, stats)
        if known is None and first.version_info:
            self._routers[key].stranger()
        self._replace(key, stats)
        return key, self._routers[key]

    def _replace(self, key: str, stats: str) -> None:
        """An address has one router: one that had it before under another name, and is cut off, has ended."""
        for other, router in list(self._routers.items()):
            if other != key and router.stats == stats and router.session is None:
                self._drop(other, router, f"{key} has its address now")

    def _part(self, key: str, router: Router) -> None:
        """A router was cut off: it counts as long as it may serve."""
        if self._routers.get(key) is not router:
            return  # the same one is back, as a new process
        if router.maybe_serving:
            self._unwatch(key)
            self._watchers[key] = self._spawn(self._watch(key, router))
        else:
            self._drop(key, router, "it never served")

    async def _watch(self, key: str, router: Router) -> None:
        why = await router.wait_lost(self._presence, self._patience)
        self._watchers.pop(key, None)
        if router.session is None and self._routers.get(key) is router:
            self._drop(key, router, why)

    def _unwatch(self, key: str) -> None:
        watcher = self._watchers.pop(key, None)
        if watcher is not None:
            watcher.cancel()

    def _drop(self, key: str, router: Router, why: str) -> None:
        log.info("router %s counts no more: %s", router.name, why)
        self._unwatch(key)
        del self._routers[key]
        self._streams.pop(key, None)
        self.telemetry.forget(key)
        self._stirred()

    def _known(self) -> Scope:
        return Scope(
            routers=frozenset(key for key, router in self._routers.items() if router.maybe_serving),
            clusters=self._board.target.resources.editions,
            endpoints=self._board.target.resources.endpoints,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a router's stream failed", exc_info=task.exception())


async def _read(session: Session, first: Any, requests: AsyncIterator[Any]) -> None:
    await session.receive(first)
    async for request in requests:
        await session.receive(request)
