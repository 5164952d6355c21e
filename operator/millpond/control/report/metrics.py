"""The operator's own figures for Prometheus, in a registry of their own."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from millpond_policies.reasons import Reason

GONE_KEPT = 20  # apps of a namespace whose cut requests are still shown when they are gone
_CYCLE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFigures:
    """What is shown of one app."""

    desired: int
    ready: int
    response_ms: float | None = None  # None: unknown or no load


class Metrics:
    """Set by the cycle, read by Prometheus. An app that is gone vanishes with the next call of `apps`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._live = _Live()
        self.registry.register(self._live)
        self._decisions = Counter(
            "millpond_decisions", "Decisions recorded", ["action", "reason"], registry=self.registry
        )
        self._writes = Counter(
            "millpond_api_writes",
            "Writes sent to the API server",
            ["verb", "resource"],
            registry=self.registry,
        )
        self._seen = Counter(
            "millpond_events_seen", "Changes of custom resources seen", ["resource"], registry=self.registry
        )
        self._unfinished = Counter(
            "millpond_unfinished",
            "Requests and streams that a server had not finished when its drain deadline came",
            ["namespace", "app", "what"],
            registry=self.registry,
        )
        self._faults = Counter(
            "millpond_internal_errors",
            "Steps of a cycle that failed for an app while the others went on; the log has the details",
            ["step"],
            registry=self.registry,
        )
        self._failing = Gauge(
            "millpond_apps_failing", "Apps with the condition InternalError", registry=self.registry
        )
        self._counted: set[str] = set()
        self._cut: dict[str, None] = {}  # the newest last
        self._cycle = Histogram(
            "millpond_cycle_seconds",
            "Duration of one pass of observe, plan, apply",
            buckets=_CYCLE_BUCKETS_S,
            registry=self.registry,
        )
        self._prometheus_up = Gauge(
            "millpond_prometheus_up", "1: the last query of Prometheus succeeded", registry=self.registry
        )
        self._leader = Gauge(
            "millpond_leader", "1: this operator decides; 0: it stands by", registry=self.registry
        )

    def apps(self, figures: Mapping[str, AppFigures]) -> None:
        """All apps there are, by namespace/name."""
        self._live.apps = dict(figures)
        # Prometheus sees an increase only of what was there before: the first request that is cut must not be missed.
        for app in figures.keys() - self._counted:
            self._count(app, 0, 0)
        for app in self._counted - figures.keys() - self._remembered(figures):
            self._forget(app)

    def _remembered(self, figures: Collection[str]) -> set[str]:
        """Of apps that are gone and had requests cut, the newest of each namespace: whoever makes ever new ones
        does not make ever more series."""
        gone: dict[str, list[str]] = {}
        for app in self._cut:
            if app not in figures:
                gone.setdefault(app.split("/", 1)[0], []).append(app)
        kept = {app for apps in gone.values() for app in apps[-GONE_KEPT:]}
        self._cut = {app: None for app in self._cut if app in figures or app in kept}
        return kept

    def leads(self, leads: bool) -> None:
        """Whether this operator decides. What is shown of apps and routers ends with that."""
        self._leader.set(float(leads))
        if not leads:
            self._live.apps, self._live.routers = {}, {}
            self._failing.set(0)

    def routers(self, by_state: Mapping[str, int]) -> None:
        """How many routers are connected, silent …"""
        self._live.routers = dict(by_state)

    def age(self, name: str, age_s: Callable[[], float]) -> None:
        """Show ``age_s()`` as millpond_watch_age_seconds{resource=name}; "cycle" has a metric of its own."""
        self._live.ages[name] = age_s

    def decided(self, action: str, reason: Reason) -> None:
        self._decisions.labels(action, reason.value).inc()

    def wrote(self, verb: str, resource: str) -> None:
        self._writes.labels(verb, resource).inc()

    def saw(self, resource: str) -> None:
        self._seen.labels(resource).inc()

    def cut(self, app: str, requests: int, streams: int) -> None:
        """A server was removed at its drain deadline. This is still shown when the app is gone."""
        self._cut.pop(app, None)
        self._cut[app] = None
        self._count(app, requests, streams)

    def _count(self, app: str, requests: int, streams: int) -> None:
        self._counted.add(app)
        for what, number in (("request", requests), ("stream", streams)):
            self._unfinished.labels(*app.split("/", 1), what).inc(number)

    def _forget(self, app: str) -> None:
        self._counted.discard(app)
        for what in ("request", "stream"):
            self._unfinished.remove(*app.split("/", 1), what)

    def failed(self, step: str) -> None:
        """One of the cycle's steps, so there are few."""
        self._faults.labels(step).inc()

    def failing(self, apps: int) -> None:
        self._failing.set(apps)

    def cycle_took(self, seconds: float) -> None:
        self._cycle.observe(seconds)

    def prometheus_answers(self, up: bool) -> None:
        self._prometheus_up.set(float(up))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Live(Collector):
    """Gauges that are made at the moment they are read, so none outlives what it is about."""

    def __init__(self) -> None:
        self.apps: Mapping[str, AppFigures] = {}
        self.routers: Mapping[str, int] = {}
        self.ages: dict[str, Callable[[], float]] = {}

    def collect(self) -> Iterable[Metric]:
        yield self._of_apps("millpond_servers_desired", "Servers ordered", lambda app: app.desired)
        yield self._of_apps("millpond_servers_ready", "Servers ready and routed to", lambda app: app.ready)
        yield self._of_apps(
            "millpond_response_ms", "Response time as the goal measures it", lambda app: app.response_ms
        )
        routers = GaugeMetricFamily("millpond_routers", "Routers by state", labels=["state"])
        for state, count in sorted(self.routers.items()):
            routers.add_metric([state], count)
        yield routers
        yield from self._of_ages()

    def _of_apps(
        self, name: str, about: str, value: Callable[[AppFigures], float | None]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, about, labels=["namespace", "app"])
        for key, app in sorted(self.apps.items()):
            shown = value(app)
            if shown is not None:
                family.add_metric(key.split("/", 1), shown)
        return family

    def _of_ages(self) -> Iterable[GaugeMetricFamily]:
        watches = GaugeMetricFamily(
            "millpond_watch_age_seconds", "Since the last sign of life of a watch", labels=["resource"]
        )
        cycle = GaugeMetricFamily("millpond_cycle_age_seconds", "Since the last finished cycle")
        for name, age_s in sorted(self.ages.items()):
            family, labels = (cycle, []) if name == "cycle" else (watches, [name])
            family.add_metric(labels, age_s())
        yield watches
        yield cycle
