"""What the routers did, second by second: their reports put together, with a word on whether all are in.

A true zero is told from ignorance: in a complete collection every published edition is there, with zeros when nothing
happened; in an incomplete one, what is missing is unknown.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from millpond.clock import Clock
from millpond.router.telemetry.otlp import EditionCounts, EndpointCounts, Report, decode
from millpond_policies.learn import histogram

log = logging.getLogger(__name__)
PATIENCE_S = 2.5
"""Routers report every second; one that is silent for longer makes the collection incomplete."""
_KEPT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionSecond:
    """One edition over the window, all routers together.

    The mean response time is `sum_ms / sum(histogram)`: a request that no server answered has an outcome but no time.
    """

    requests: int = 0
    """Completed ones, however they ended."""
    errors: int = 0
    """Of these, answered 5xx by the server, or by the router because no server could be reached, or calls of gRPC that
    ended with one of GRPC_FAILURES."""
    sum_ms: float = 0.0
    histogram: tuple[int, ...] = histogram.EMPTY
    """Counts over BOUNDS_MS and one for what is above; empty when there were none."""
    in_flight: int = 0
    """Sent to a server or waiting for a connection, at the end of the window."""
    streams: int = 0
    """WebSocket, server-sent events and gRPC: those that were answered (begun), whatever became of them later. All
    other fields are about requests alone."""
    stream_errors: int = 0
    """Of these, answered 5xx; calls of gRPC also as with `errors`."""
    unknown: bool = False
    """A router reported a figure that cannot be: all of these are "at least"."""

    @property
    def busy(self) -> bool:
        """Whether anybody asked for anything, or may have."""
        return bool(self.requests or self.in_flight or self.streams or self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLoad:
    """One server at `at_s`, when the oldest of the routers' newest reports came; 0.0: not all have reported yet, or one
    reported what cannot be.

    It must be published (draining) as long as one wants to know: routers don't count for servers that they don't have.
    """

    active: int
    """Requests that it works on; long-lived streams are not among them."""
    pending: int
    """Requests that wait for a connection to it."""
    total: int
    """Requests and streams that it got: since this operator started; where routers were asked, since they know it."""
    at_s: float
    streams: int = 0
    """WebSocket, server-sent events and gRPC: those that are open or waiting for a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    at_s: float
    complete: bool
    """Every router that may serve has reported."""
    window_s: float
    """The time that the counts cover; on several routers the mean of theirs."""
    editions: Mapping[str, EditionSecond]
    endpoints: Mapping[str, EndpointLoad]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose reports count, and what they are about."""

    routers: Collection[str]
    clusters: Collection[str]
    endpoints: Collection[str]


class Telemetry:
    """Takes the routers' reports; the cycle collects them.

    `changed` is set when the reports of all are in, not by each of a hundred; whoever waits clears it.
    """

    def __init__(self, *, clock: Clock, known: Callable[[], Scope]) -> None:
        self.changed = asyncio.Event()
        self._clock, self._known = clock, known
        self._collected_s = clock()
        self._newest: dict[str, Report] = {}
        self._windows: dict[str, deque[tuple[Report, float]]] = {}
        self._totals: dict[str, int] = {}
        self._garbled: set[str] = set()  # routers whose last report was none

    def receive(self, router: str, body: bytes) -> None:
        """A router's report, as it came."""
        try:
            report = decode(body, self._clock())
        except DecodeError:
            if router not in self._garbled:
                log.warning("router %s sends reports that are none", router)
            self._garbled.add(router)
            return
        self._garbled.discard(router)
        before = self._newest.get(router)
        if before is not None and report.repeats(before):
            return
        window_s = report.window_s(before)
        self._windows.setdefault(router, deque(maxlen=_KEPT)).append((report, window_s))
        self._newest[router] = report
        for address, counts in report.endpoints.items():
            self._totals[address] = self._totals.get(address, 0) + counts.requests
        if self._complete(self._known()):
            self.changed.set()

    def collect(self, now_s: float) -> Collected | None:
        """What came since the last time. None: some routers' reports are still to come, and patience is not over."""
        known = self._known()
        complete = self._complete(known)
        if not complete and now_s - self._collected_s < PATIENCE_S:
            return None
        windows, self._windows = self._windows, {}
        self._newest = {router: self._newest[router] for router in known.routers if router in self._newest}
        since_s, self._collected_s = now_s - self._collected_s, now_s
        spans = [sum(window_s for _, window_s in reports) for reports in windows.values()]
        return Collected(
            at_s=now_s,
            complete=complete,
            window_s=sum(spans) / len(spans) if spans else since_s,
            editions=self._editions(windows, known, complete),
            endpoints=self._endpoints(known),
        )

    def _complete(self, known: Scope) -> bool:
        """Whether every router that may serve has reported since the last collection."""
        return bool(known.routers) and all(self._windows.get(router) for router in known.routers)

    def forget(self, router: str) -> None:
        """It is gone: what it reported counts, its load doesn't any more."""
        self._newest.pop(router, None)
        self._garbled.discard(router)

    def last_report_s(self, router: str) -> float | None:
        newest = self._newest.get(router)
        return None if newest is None else newest.received_s

    def _editions(
        self, windows: Mapping[str, Iterable[tuple[Report, float]]], known: Scope, complete: bool
    ) -> Mapping[str, EditionSecond]:
        found: dict[str, list[EditionCounts]] = {name: [] for name in (known.clusters if complete else ())}
        for reports in windows.values():
            for report, _ in reports:
                for name, counts in report.editions.items():
                    found.setdefault(name, []).append(counts)
        newest = [self._newest[router] for router in known.routers if router in self._newest]
        return {name: _sum(counts, _in_flight(name, newest)) for name, counts in found.items()}

    def _endpoints(self, known: Scope) -> Mapping[str, EndpointLoad]:
        newest = [self._newest.get(router) for router in known.routers]
        at_s = min((report.received_s if report else 0.0 for report in newest), default=0.0)
        reports = [report for report in newest if report]
        self._totals = {
            address: total for address, total in self._totals.items() if address in known.endpoints
        }
        return {address: self._load(address, reports, at_s) for address in known.endpoints}

    def _load(self, address: str, reports: Iterable[Report], at_s: float) -> EndpointLoad:
        counts = [report.endpoints.get(address, _NOTHING) for report in reports]
        return EndpointLoad(
            active=sum(count.active for count in counts),
            pending=sum(count.pending for count in counts),
            total=self._totals.get(address, 0),
            at_s=0.0 if any(count.spoiled for count in counts) else at_s,
            streams=sum(count.streams for count in counts),
        )


_NOTHING = EndpointCounts()


def _in_flight(name: str, newest: Iterable[Report]) -> int:
    reports = (report.editions.get(name) for report in newest)
    return sum(counts.in_flight for counts in reports if counts is not None)


def _sum(counts: Collection[EditionCounts], in_flight: int) -> EditionSecond:
    return EditionSecond(
        requests=sum(c.requests for c in counts),
        # What a router answers itself is among both. That servers of gRPC also answer 5xx in the same second is rare.
        errors=sum(max(c.errors, c.failed_calls) for c in counts),
        sum_ms=sum(c.sum_ms for c in counts),
        histogram=histogram.add(c.histogram for c in counts),
        in_flight=in_flight,
        streams=sum(c.streams for c in counts),
        stream_errors=sum(max(c.stream_errors, c.failed_stream_calls) for c in counts),
        unknown=any(c.spoiled for c in counts),
    )
