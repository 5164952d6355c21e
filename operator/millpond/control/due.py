"""Which apps a cycle looks at: those of which something is new, those on their way, and of the others a few in turn.

Most of 1,000 apps are at rest most of the time. Then nothing but time can change what is decided and said of them, and
it does so at most MOST_S late.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from math import ceil

from millpond.control.outcome import NOT_PUBLISHED, Outcome, Result
from millpond.control.resolve.record import Record
from millpond.router.xds.control import Published
from millpond_policies.world.actions import Hold

MOST_S = 5.0
LATER_AT_ONCE = 100  # so that an edit of a policy of 1,000 apps holds up no app with requests


class New(Enum):
    """How soon what is new of an app must be known."""

    AT_ONCE = "at once"
    LATER = "in one of the next cycles"
    NOTHING = "nothing is new"


@dataclass(slots=True)
class Due:
    """``begin`` starts a cycle, ``ended`` says what came of it."""

    now: set[str] = field(default_factory=set)
    """Apps of this cycle."""
    _turns: dict[str, None] = field(default_factory=dict)  # all apps; who was looked at longest ago is first
    _going: set[str] = field(default_factory=set)  # on their way when the last cycle ended
    _published: Published = NOT_PUBLISHED
    _last_s: float | None = None

    def begin(
        self, keys: Collection[str], news: Iterable[str], now_s: float, later: Collection[str] = ()
    ) -> None:
        """``keys``: all apps; ``news``: those of which something is new; ``later``: those of which something is new
        that a few more cycles may not know."""
        self._turns = {key: None for key in self._turns if key in keys} | dict.fromkeys(
            key for key in keys if key not in self._turns
        )
        some = islice((key for key in self._turns if key in later), LATER_AT_ONCE)
        self.now = {*news, *self._going, *self._in_turn(now_s), *some} & set(keys)
        self._last_s = now_s

    def _in_turn(self, now_s: float) -> list[str]:
        """So many that within MOST_S it was everybody's turn; all when the clock was set."""
        passed_s = MOST_S if self._last_s is None else now_s - self._last_s
        share = passed_s / MOST_S if 0 <= passed_s < MOST_S else 1.0
        return list(self._turns)[: ceil(share * len(self._turns))]

    def heard(self, published: Published) -> None:
        """Apps of which routers have acknowledged or refused something since the last time are due as well."""
        before, self._published = self._published, published
        sets = (
            (before.confirmed, published.confirmed),
            (before.routed, published.routed),
            (before.lingering, published.lingering),
        )
        changed = {key for old, new in sets for key in old ^ new}
        refused = {key for key, _ in before.rejected.items() ^ published.rejected.items()}
        self.now |= (changed | refused) & self._turns.keys()

    def ended(self, outcome: Outcome, unsettled: Collection[str]) -> None:
        """``unsettled``: apps with a write that goes on, was put off or failed."""
        for key in self.now:
            self._turns.pop(key, None)
        self._turns |= dict.fromkeys(sorted(self.now))
        self._going = {key for key in self.now if _goes_on(outcome, key)} | set(unsettled)


def _goes_on(outcome: Outcome, key: str) -> bool:
    """Whether the app is on its way from one state to another, so that the next cycle has to see to it."""
    record = outcome.records.get(key)
    verdicts = outcome.done.get(key, ())
    return (
        record is None
        or key in outcome.faults
        or _rolls_out(record)
        or any(pod.retire is not None and not pod.finished for pod in record.pods)
        or record.problem is not record.app.problem
        or any(done.result is not Result.HELD or not isinstance(done.verdict, Hold) for done in verdicts)
    )


def _rolls_out(record: Record) -> bool:
    return record.progress is not None and not record.progress.phase.final
