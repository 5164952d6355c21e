"""The slow path: asks Prometheus in the background and keeps the last answers. Scaling never waits for it."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from millpond.api.kinds.sla import PrometheusSource, Source
from millpond.clock import Clock
from millpond.control.learn.knowledge import Observed
from millpond.control.learn.learner import Measured
from millpond.control.resolve.candidates import Candidate
from millpond.prom.errors import PromError, PromUnknown
from millpond.prom.reader import PromReader
from millpond.prom.response import Response, response_time
from millpond.prom.servers import server_usage
from millpond_policies.learn.sample import MOST_COUNTED, possible

log = logging.getLogger(__name__)
PERIOD_S = 5.0
_AT_ONCE = 16
FOREIGN_WINDOW_S = 20.0
USAGE_WINDOW_S = 10.0
USAGE_TRUSTED_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Whose response time is asked for, and where it is measured."""

    namespace: str
    source: PrometheusSource
    percentile: float | None


def _question(app: Candidate) -> _Question | None:
    if app.spec is None or app.goal is None or app.spec.sla.prometheus is None:
        return None
    if app.spec.sla.source is not Source.PROMETHEUS:
        return None
    source = app.spec.sla.prometheus
    return _Question(namespace=app.namespace, source=source, percentile=app.goal.percentile)


@dataclass(slots=True, kw_only=True)
class Measure:
    """``run`` asks for ever; ``now`` answers at once with what is still fresh."""

    reader: PromReader
    clock: Clock
    candidates: Callable[[], Mapping[str, Candidate]]
    on_answer: Callable[[bool], None]
    _cpu_cores: Mapping[tuple[str, str], float] = field(default_factory=dict)
    _cpu_at_s: float = 0.0
    _foreign: dict[str, Observed] = field(default_factory=dict)
    _trouble: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        while True:
            await self._ask()
            await asyncio.sleep(PERIOD_S)

    def now(self) -> Measured:
        fresh = self.clock() - self._cpu_at_s <= USAGE_TRUSTED_S
        return Measured(
            cpu_cores=self._cpu_cores if fresh else {}, foreign=self._foreign, trouble=self._trouble
        )

    async def _ask(self) -> None:
        apps = dict(self.candidates())
        try:
            await self._ask_usage({app.namespace for app in apps.values()})
            self.on_answer(True)
        except PromError as error:
            self.on_answer(False)
            log.info("Prometheus: %s", error)
        except Exception:  # an answer that nobody expects: the next one may be another
            self.on_answer(False)
            log.exception("Prometheus")
        self._foreign = {key: seen for key, seen in self._foreign.items() if key in apps}
        self._trouble = {key: text for key, text in self._trouble.items() if key in apps}
        asked = {key: found for key, app in apps.items() if (found := _question(app)) is not None}
        lanes: dict[str, list[str]] = {}
        for key, question in asked.items():
            lanes.setdefault(question.namespace, []).append(key)
        room = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._ask_each(lane, asked, room) for lane in lanes.values()))

    async def _ask_each(
        self, keys: Collection[str], asked: Mapping[str, _Question], room: asyncio.Semaphore
    ) -> None:
        """A namespace's apps one after another, so that its slow queries hold up itself alone."""
        for key in keys:
            async with room:
                try:
                    await self._ask_foreign(key, asked[key])
                except Exception as error:  # whatever its labels made of the query
                    if key not in self._trouble:
                        log.exception("%s: its response time", key)
                    self._trouble[key] = f"its response time cannot be read ({type(error).__name__})"

    async def _ask_usage(self, namespaces: set[str]) -> None:
        if not namespaces:
            return
        usage = await server_usage(
            self.reader, sorted(namespaces), window_s=USAGE_WINDOW_S, max_age_s=USAGE_TRUSTED_S
        )
        self._cpu_cores = {pod: u.cpu_cores for pod, u in usage.items() if u.cpu_cores is not None}
        self._cpu_at_s = self.clock()

    async def _ask_foreign(self, key: str, question: _Question) -> None:
        """One observation a window, so that no request is counted twice."""
        source, before = question.source, self._foreign.get(key)
        if before is not None and self.clock() - before.at_s < before.window_s:
            return
        try:
            found = await response_time(
                self.reader,
                source.preset,
                source.labels,
                FOREIGN_WINDOW_S,
                namespace=question.namespace,
                percentile=question.percentile,
            )
            seen = _observed(found)
        except PromError as error:
            self._trouble[key] = str(error)
            return
        self._trouble.pop(key, None)
        self._foreign[key] = seen


def _observed(found: Response) -> Observed:
    """In flight by Little's law: the other proxy's own gauge is not known to every preset.

    Where a source does not count errors, none are assumed: they only tell which windows teach nothing. Raises
    PromUnknown for figures that no edition can have.
    """
    requests = _count(found.requests)
    errors = min(requests, _count(found.errors or 0))
    if not possible(found.at_s, found.window_s, requests, errors, found.sum_ms):
        raise PromUnknown(f"{found.sum_ms:.4g} ms for {found.requests:.4g} requests can't be")
    return Observed(
        at_s=found.at_s,
        window_s=found.window_s,
        requests=requests,
        errors=errors,
        sum_ms=found.sum_ms,
        histogram=found.histogram,
        in_flight=_count(found.sum_ms / 1000 / found.window_s),
        complete=found.complete,
    )


def _count(number: float) -> int:
    if not 0 <= number <= MOST_COUNTED:
        raise PromUnknown(f"{number:.4g} requests are more than an edition can have")
    return round(number)
