"""What came of a cycle: whoever tells of it (status, metrics, the log) reads it here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from millpond.control.guard.faults import Fault
from millpond.control.resolve.record import Record
from millpond.router.xds.control import Published
from millpond_policies.world.actions import Verdict
from millpond_policies.world.model import App

NOT_PUBLISHED = Published(confirmed=frozenset(), rejected={}, waiting=())  # nothing is known to be served


class Result(StrEnum):
    ACTED = "acted on"
    HELD = "held"
    """A hold, or what it asks for is there already."""
    FAILED = "failed"
    """Not done, or not yet: refused, under way, or not permitted now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A verdict and what came of it."""

    verdict: Verdict
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one cycle, by app key."""

    at_s: float
    due: frozenset[str] = frozenset()
    """Apps that this cycle looked at: of the others nothing is new."""
    records: Mapping[str, Record] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    """As `plan` saw them."""
    done: Mapping[str, Sequence[Done]] = field(default_factory=dict)
    """In the order of the plan."""
    late: Mapping[str, Sequence[Verdict]] = field(default_factory=dict)
    """Verdicts of earlier cycles that were acted on since."""
    published: Published = NOT_PUBLISHED
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """Of apps that failed lately."""

    @property
    def acted(self) -> dict[str, list[Verdict]]:
        return self._with(Result.ACTED)

    @property
    def held(self) -> dict[str, list[Verdict]]:
        return self._with(Result.HELD)

    @property
    def failed(self) -> dict[str, list[Verdict]]:
        return self._with(Result.FAILED)

    def true_of(self, key: str) -> tuple[Verdict, ...]:
        """The verdicts on an app that hold now: what it does not do yet is not among them."""
        return tuple(done.verdict for done in self.done.get(key, ()) if done.result is not Result.FAILED)

    def _with(self, result: Result) -> dict[str, list[Verdict]]:
        found = {key: [d.verdict for d in of if d.result is result] for key, of in self.done.items()}
        return {key: verdicts for key, verdicts in found.items() if verdicts}
