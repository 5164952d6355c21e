"""Routers that acknowledge at once, late or never, and what the operator is told of them.

`Router` outlives operators; a `Control` is one operator's side, at the seam of `RouterControl` (millpond.router.xds).
Requests: each app has its traffic, the youngest servers the most of it, so that the best victim is not the one that a
ReplicaSet would choose; a draining server finishes what it has, one request a second.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, inf

from millpond.router.config import AppRoutes, EditionRoute, Endpoint, cluster_name
from millpond.router.telemetry.collector import Collected, EditionSecond, EndpointLoad
from millpond.router.xds.control import Published, RouterState
from millpond_policies.learn.histogram import BOUNDS_MS

from memory.clock import Clock

NEVER_S = inf
PER_SERVER_RPS = 40.0  # of the servers in memory, whatever they are


@dataclass
class Traffic:
    """Of one app. ``errors``: by edition the share of requests that fail."""

    rps: float = 0.0
    errors: dict[str, float] = field(default_factory=dict)


@dataclass
class Router:
    """``lag_s``: from what it is told to its acknowledgement; 0: at once, NEVER_S: never."""

    name: str
    clock: Clock
    lag_s: float = 0.0
    silent: bool = False
    """Sends no reports, and answers no questions."""
    config: dict[str, AppRoutes] = field(default_factory=dict)
    in_flight: dict[str, float] = field(default_factory=dict)  # by the server's authority
    told: list[tuple[float, dict[str, AppRoutes], int]] = field(default_factory=list)
    acknowledged: int = 0
    at_s: float = 0.0

    def take(self, apps: Mapping[str, AppRoutes], number: int) -> None:
        self.told = [*self.told, (self.clock() + self.lag_s, dict(apps), number)]
        self.step({})

    def step(self, traffic: Mapping[str, Traffic]) -> None:
        due = [(apps, number) for at_s, apps, number in self.told if at_s <= self.clock()]
        for apps, number in due:
            self.config, self.acknowledged = apps, number
        self.told = [told for told in self.told if told[0] > self.clock()]
        self._serve(traffic)

    def _serve(self, traffic: Mapping[str, Traffic]) -> None:
        passed_s, self.at_s = self.clock() - self.at_s, self.clock()
        there: dict[str, float] = {}
        for key, routes in self.config.items():
            open_to = [e.authority for _, e in servers(routes) if not e.draining]
            rps = traffic[key].rps if key in traffic else 0.0
            share = ceil(rps * busy_s(rps / max(1, len(open_to)))) / max(1, len(open_to))
            for number, (_, endpoint) in enumerate(servers(routes), 1):
                before = self.in_flight.get(endpoint.authority, 0.0)
                there[endpoint.authority] = (
                    max(0.0, before - passed_s) if endpoint.draining else share * number
                )
        self.in_flight = there

    def routes_to(self, address: str) -> bool:
        """New requests may go there."""
        found = (e for routes in self.config.values() for _, e in servers(routes))
        return any(e.address == address and not e.draining for e in found)


def servers(routes: AppRoutes) -> Iterator[tuple[EditionRoute, Endpoint]]:
    return ((edition, endpoint) for edition in routes.editions for endpoint in edition.endpoints)


def busy_s(rps: float) -> float:
    """The response time of a server with so many requests a second: 60 ms until it is busy."""
    use = min(0.97, rps / PER_SERVER_RPS)
    return 0.06 if use < 0.6 else 0.06 + 0.024 * use / (1 - use)


@dataclass
class Control:
    """Nothing is confirmed for ``reunion_s`` after an operator's start."""

    routers_: list[Router]
    traffic: Mapping[str, Traffic]
    clock: Clock
    reunion_s: float = 0.0
    target: Mapping[str, AppRoutes] = field(default_factory=dict)
    number: int = 0
    spoken: bool = False

    def __post_init__(self) -> None:
        self.began_s = self.collected_s = self.clock()
        known = [n for r in self.routers_ for n in (r.acknowledged, *(number for _, _, number in r.told))]
        self.number = max(known, default=0)
        self.telemetry = self
        self.changed = None

    def publish(self, apps: Mapping[str, AppRoutes], **_: object) -> Published:
        if apps != self.target or not self.spoken:
            self.spoken = True
            self.target, self.number = dict(apps), self.number + 1
            for router in self.routers_:
                router.take(self.target, self.number)
        return self.published()

    def published(self) -> Published:
        """What came of the newest publication so far."""
        if self.clock() - self.began_s < self.reunion_s:
            return Published(confirmed=frozenset(), rejected={}, waiting=self._waiting())
        served = frozenset(
            key
            for key, routes in self.target.items()
            if all(r.config.get(key) == routes for r in self.routers_)
        )
        return Published(confirmed=served, routed=served, rejected={}, waiting=self._waiting())

    def _waiting(self) -> tuple[str, ...]:
        return tuple(r.name for r in self.routers_ if r.acknowledged < self.number)

    def routers(self) -> tuple[RouterState, ...]:
        return tuple(
            RouterState(id=r.name, connected=True, maybe_serving=True, last_report_s=self.clock())
            for r in self.routers_
        )

    async def ask(self, endpoints: Collection[str]) -> Mapping[str, EndpointLoad] | None:
        if any(r.silent for r in self.routers_) or self.clock() - self.began_s < self.reunion_s:
            return None
        return {e: self._load(e) for e in endpoints}

    def _load(self, authority: str) -> EndpointLoad:
        active = ceil(sum(r.in_flight.get(authority, 0.0) for r in self.routers_))
        return EndpointLoad(active=active, pending=0, total=0, at_s=self.clock())

    def collect(self, now_s: float) -> Collected | None:
        window_s, complete = now_s - self.collected_s, not any(r.silent for r in self.routers_)
        if window_s < (1.0 if complete else 2.5):
            return None
        self.collected_s = now_s
        found = {e.authority for r in self.routers_ for x in r.config.values() for _, e in servers(x)}
        return Collected(
            at_s=now_s,
            complete=complete and bool(self.routers_),
            window_s=window_s,
            editions=dict(self._editions(window_s)),
            endpoints={authority: self._load(authority) for authority in sorted(found)},
        )

    def _editions(self, window_s: float) -> Iterator[tuple[str, EditionSecond]]:
        for key, routes in self.target.items():
            traffic = self.traffic.get(key) or Traffic()
            open_ = {e.name: sum(not p.draining for p in e.endpoints) for e in routes.editions}
            total = sum(e.weight for e in routes.editions if open_[e.name])
            for edition in routes.editions:
                share = edition.weight / total if total and open_[edition.name] else 0.0
                yield cluster_name(key, edition.name), _second(traffic, edition.name, share, open_, window_s)


def _second(
    traffic: Traffic, edition: str, share: float, open_: Mapping[str, int], window_s: float
) -> EditionSecond:
    rps = traffic.rps * share
    response_s = busy_s(rps / max(1, open_[edition]))
    requests = round(rps * window_s)
    bucket = next(i for i, bound in enumerate(BOUNDS_MS) if bound >= response_s * 1000)
    return EditionSecond(
        requests=requests,
        errors=round(requests * traffic.errors.get(edition, 0.0)),
        sum_ms=requests * response_s * 1000,
        histogram=tuple(requests if i == bucket else 0 for i in range(len(BOUNDS_MS) + 1)),
        in_flight=round(rps * response_s),
    )
