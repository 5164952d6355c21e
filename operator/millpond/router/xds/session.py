"""One router's discovery stream: brings the router from what it has to what it shall have, step by acknowledged step.

New clusters and their servers first, then routes, then what nothing refers to any more: at no moment does a route lead
to a cluster that is missing or has just lost its last server. Envoy asks for an added cluster's servers by name and
acknowledges the cluster only once it has them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from millpond.router.envoy.resources import CDS, EDS, RDS, Resources, placeholder, response

log = logging.getLogger(__name__)
Send: TypeAlias = Callable[[bytes], Awaitable[None]]
Parts: TypeAlias = Mapping[str, bytes]
_HUSH_S = 1.0
_REJOIN_S = 1.0
"""A router that comes back asks for everything in one burst; without clusters it asks for no servers."""


class Rejected(Exception):
    """Envoy did not take a response; the text is Envoy's message."""


@dataclass(slots=True, eq=False)
class _Sent:
    number: int
    parts: Parts
    answer: asyncio.Future[None]


class _Kind:
    """What a router has of one resource type, as far as it said so. A part of b"" is known by name only."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        """Each response has everything, as for clusters; otherwise only what changed."""
        self.parts: dict[str, bytes] = {}
        self.told = False
        """It has acknowledged something; even the answer that there is nothing must be given once."""
        self.asked: set[str] | None = None
        self.subscribed = asyncio.Event()
        self.sent: list[_Sent] = []
        self.last = 0
        """The number of the last response."""
        self.heard = 0
        """The highest number that the router answered."""

    def answered(self, number: int, fault: str | None) -> None:
        """An answer counts for all responses up to that number: Envoy may answer several at once."""
        done = [sent for sent in self.sent if sent.number <= number]
        self.sent = [sent for sent in self.sent if sent.number > number]
        for sent in done:
            self._take(sent.parts) if fault is None else self._doubt(sent.parts)
            if not sent.answer.done():
                sent.answer.set_result(None) if fault is None else sent.answer.set_exception(Rejected(fault))

    def _take(self, parts: Parts) -> None:
        self.told = True
        self.parts = {**({} if self.whole else self.parts), **parts}

    def _doubt(self, parts: Parts) -> None:
        self.parts |= dict.fromkeys(parts, b"")


class Session:
    """`receive` gets every request of the stream; `apply` is called by one task at a time."""

    def __init__(self, *, instance: str, send: Send) -> None:
        self._instance, self._send = instance, send
        self._numbers = count(1)
        self._kinds = {CDS: _Kind(whole=True), EDS: _Kind(whole=False), RDS: _Kind(whole=True)}
        self._routed: set[str] = set()
        self._servers: Parts = {}
        self._answered = asyncio.Event()
        self.rejoined = False
        """The router came with a configuration, which it serves meanwhile."""
        self.routing = False
        """Routes were sent: from now on the router may serve what it got on this stream."""

    async def receive(self, request: Any) -> None:
        kind = self._kinds.get(request.type_url)
        if kind is None:
            return
        new = set(request.resource_names) - (kind.asked or set())
        if kind.asked is None:
            self.rejoined |= bool(request.version_info)
        kind.asked = set(request.resource_names)
        kind.subscribed.set()
        instance, _, number = request.response_nonce.rpartition("-")
        if instance == self._instance:
            fault = request.error_detail.message if request.HasField("error_detail") else None
            self._heard(kind, int(number), fault)
        if request.type_url == EDS:
            await self._supply(new)

    def _heard(self, kind: _Kind, number: int, fault: str | None) -> None:
        kind.heard = max(kind.heard, number)
        self._answered.set()
        if fault is None:
            kind.answered(number, None)
        elif any(sent.number <= number for sent in kind.sent):
            # Whatever else is under way is in doubt too: a cluster whose servers were refused is never acknowledged.
            for other in self._kinds.values():
                other.answered(other.last, fault)

    async def hush(self) -> None:
        """After a refusal: wait until late answers can't be taken for answers to what comes next.

        Not for those about clusters, which Envoy may withhold; they come one at a time anyway.
        """
        kind = self._kinds[EDS]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HUSH_S):
                while kind.heard < kind.last:
                    self._answered.clear()
                    await self._answered.wait()

    async def join(self) -> None:
        """Wait until the router has asked; learn which clusters it has from an earlier stream."""
        await self._kinds[CDS].subscribed.wait()
        if not self.rejoined:
            return
        try:
            await asyncio.wait_for(self._kinds[EDS].subscribed.wait(), _REJOIN_S)
        except TimeoutError:
            return
        self._routed = set(self._kinds[EDS].asked or ())
        self._kinds[CDS].parts = dict.fromkeys(self._routed, b"")

    async def apply(self, want: Resources) -> None:
        """Make the router serve `want`; returns when it has acknowledged everything. Raises Rejected."""
        self._servers = want.assignments
        rerouted = self._kinds[RDS].parts != want.hosts
        late = want.unserved if rerouted else set()
        await self._put_clusters(want.clusters | self._still_routed(want), late)
        await self._put_servers({n: part for n, part in want.assignments.items() if n not in late})
        if rerouted:
            await self._put_routes(want)
            await self._put_servers(want.assignments)
        await self._put_clusters(want.clusters, set())
        self._forget(want)

    def _still_routed(self, want: Resources) -> dict[str, bytes]:
        known = self._kinds[CDS].parts
        gone = (name for name in self._routed if name in known and name not in want.clusters)
        return {name: known[name] or placeholder(name, want) for name in gone}

    async def _put_clusters(self, parts: dict[str, bytes], late: set[str]) -> None:
        kind = self._kinds[CDS]
        if kind.told and kind.parts == parts:
            return
        sent = await self._put(CDS, parts, parts.values())
        # A router that came back asks for no servers of clusters that it knows, not even if their definition changed.
        has = self._kinds[EDS].parts
        await self._supply({name for name in self._kinds[EDS].asked or () if not has.get(name)} - late)
        await sent.answer

    async def _put_servers(self, parts: Parts) -> None:
        has = self._kinds[EDS].parts
        changed = {name: part for name, part in parts.items() if has.get(name) != part}
        if changed:
            await (await self._put(EDS, changed, changed.values())).answer

    async def _put_routes(self, want: Resources) -> None:
        await self._kinds[RDS].subscribed.wait()
        self.routing = True
        await (await self._put(RDS, want.hosts, [want.routes()])).answer
        self._routed = set(want.clusters)

    async def _supply(self, names: set[str]) -> None:
        parts = {name: self._servers[name] for name in names if name in self._servers}
        if parts:
            sent = await self._put(EDS, parts, parts.values())
            sent.answer.add_done_callback(_noted)

    async def _put(self, type_url: str, parts: Parts, body: Iterable[bytes]) -> _Sent:
        number = next(self._numbers)
        sent = _Sent(number, parts, asyncio.get_running_loop().create_future())
        self._kinds[type_url].sent.append(sent)
        self._kinds[type_url].last = number
        await self._send(response(f"{self._instance}-{number}", type_url, body))
        return sent

    def _forget(self, want: Resources) -> None:
        kind = self._kinds[EDS]
        kind.parts = {name: part for name, part in kind.parts.items() if name in want.clusters}


def _noted(answer: asyncio.Future[None]) -> None:
    """A refusal of servers fails the wait for their cluster; nobody waits for this answer itself."""
    if not answer.cancelled():
        answer.exception()
