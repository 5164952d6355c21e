"""Tells what came of a cycle, beside the cycles: status and events of the apps that it looked at, counts of pools."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from millpond.control.guard.each import Each
from millpond.control.learn.learner import Learner
from millpond.control.outcome import Outcome
from millpond.control.report.news import News
from millpond.control.report.writer import Write, Writer
from millpond.control.resolve.candidates import Candidate
from millpond.kube.events import Events
from millpond_policies.world.actions import Steer

POOLS = ""  # no app has such a key


@dataclass(slots=True, kw_only=True)
class Reporter:
    """``hurry``, when set: something waits for the next cycle, so nothing is waited for here."""

    each: Each
    writer: Writer
    events: Events
    learner: Learner
    hurry: asyncio.Event | None = None
    news: News = field(default_factory=News)

    async def tell(
        self,
        outcome: Outcome,
        candidates: Mapping[str, Candidate],
        sound: Iterable[str],
        rest: Collection[str],
    ) -> None:
        """``sound``: apps about which anything new may be said; of apps of ``rest`` nothing is new, and what was to be
        written about them still is."""
        telling, faults = self.each.telling, self.each.faults
        # Of an app whose rollout could not be steered, status would look as if it were up to date.
        astray = {k for k, of in outcome.failed.items() if any(isinstance(v, Steer) for v in of)}
        keys = [key for key in sound if key not in astray and key not in telling.behind]
        trouble = self.learner.measured().trouble
        writes = self.each.look("status", keys, lambda key: self._status(key, outcome, trouble.get(key)))
        self.each.look("news", keys, lambda key: self.news.tell(self.events, outcome.records[key]))
        self.news.forget_others(app.uid for app in candidates.values())
        failed = [key for key in faults.now if key in candidates and key not in telling.behind]
        writes |= self.each.look(
            "fault",
            failed,
            lambda key: self.writer.fault(candidates[key], faults.shown.get(key), outcome.at_s),
        )
        await self._write(writes, outcome, rest)

    def _status(self, key: str, outcome: Outcome, trouble: str | None) -> Sequence[Write]:
        record = outcome.records[key]
        told = self.writer.app(record, outcome, trouble)
        return [*told, *self.writer.editions(record, self.learner.knowledge)]

    async def _write(
        self, writes: Mapping[str, Sequence[Write]], outcome: Outcome, rest: Collection[str]
    ) -> None:
        async def write(key: str) -> None:
            for one in writes[key]:
                await self.writer.carry_out(one)

        telling = self.each.telling
        offered = {key: partial(write, key) for key, found in writes.items() if found}
        if POOLS not in telling.behind:
            offered[POOLS] = partial(self.writer.write_pools, list(outcome.records.values()))
        telling.offer("status", offered, keep=rest)
        await telling.settle(self.each.left_s, self.hurry)
