"""Carries out what was planned, each app by itself, and says what came of each verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from millpond.control.act.apply import Hands
from millpond.control.guard.each import Each
from millpond.control.outcome import Done, Result
from millpond.control.report.told import tell
from millpond.control.resolve.record import ValidRecord
from millpond_policies.world.actions import Hold, Verdict


@dataclass(slots=True, kw_only=True)
class Acts:
    """What ends after its cycle is ``late``: the outcome of a later one tells it."""

    hands: Hands
    each: Each
    _late: dict[str, list[Verdict]] = field(default_factory=dict)

    async def all(
        self, verdicts: Iterable[Verdict], records: Mapping[str, ValidRecord]
    ) -> Mapping[str, Sequence[Done]]:
        """What came of them, by app."""
        by_app = _by_app(verdicts)
        found: dict[str, list[Done]] = {key: [] for key in by_app}
        in_time: set[str] = set(by_app)

        async def act(key: str) -> None:
            def done(one: Done) -> None:
                if key in in_time:
                    found[key].append(one)
                else:
                    self._note(key, one)

            await self._one_by_one(by_app[key], records[key], lambda: key not in self.each.behind, done)

        to_act = [key for key, of in by_app.items() if _acting(of)]
        await self.each.do("apply", {key: partial(act, key) for key in to_act if key not in self.each.behind})
        in_time.clear()
        for key in by_app.keys() - set(to_act):
            found[key] = [Done(verdict=verdict, result=Result.HELD) for verdict in by_app[key]]
        return {key: (*found[key], *_failed(by_app[key], found[key])) for key in by_app}

    async def at_once(self, verdicts: Sequence[Verdict], record: ValidRecord) -> None:
        """Of one app, beside the cycles."""
        await self._one_by_one(verdicts, record, lambda: True, partial(self._note, record.key))

    def late(self) -> Mapping[str, Sequence[Verdict]]:
        """Those that were acted on late, since this was asked last."""
        found, self._late = self._late, {}
        return found

    def _note(self, key: str, one: Done) -> None:
        if one.result is Result.ACTED:
            self._late.setdefault(key, []).append(one.verdict)

    async def _one_by_one(
        self,
        verdicts: Sequence[Verdict],
        record: ValidRecord,
        valid: Callable[[], bool],
        done: Callable[[Done], None],
    ) -> None:
        """``valid`` is asked before each: what was planned may be old by now. ``done`` is told as soon as one is."""
        for verdict in verdicts:
            if not valid():
                return
            if not self.hands.able(verdict):
                continue
            with self.each.faults.guard(record.key, type(verdict).__name__):
                wrote = await self.hands.apply(verdict, record)
                if wrote:
                    tell(verdict)
                done(Done(verdict=verdict, result=Result.ACTED if wrote else Result.HELD))


def _acting(verdicts: Iterable[Verdict]) -> bool:
    """Whether something may have to be written."""
    return not all(isinstance(verdict, Hold) for verdict in verdicts)


def _by_app(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.app, []).append(verdict)
    return found


def _failed(planned: Sequence[Verdict], done: Sequence[Done]) -> list[Done]:
    """Those of which nothing came."""
    there = [id(one.verdict) for one in done]
    return [Done(verdict=v, result=Result.FAILED) for v in planned if id(v) not in there]
