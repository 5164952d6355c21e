"""What is observed of one app in one cycle, each thing found out once: who decides, routes or tells reads it here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeGuard, TypeVar

from millpond.control.observe import troubles
from millpond.control.observe.objects import Pod, ReplicaSet
from millpond.control.observe.troubles import Trouble
from millpond.control.observe.world import Holdings, Raw
from millpond.control.resolve import rollouts
from millpond.control.resolve.candidates import Candidate, Problem, ValidApp
from millpond_policies.world.release import Progress

A = TypeVar("A", bound=Candidate)
Of = TypeVar("Of", bound=Candidate, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOf(Generic[Of]):
    """Made by `observed`, and made again after own writes. What those made new is entered into `held` at once."""

    app: Of
    held: Holdings
    progress: Progress | None
    """The last rollout."""
    active: str | None
    """The edition that serves."""
    states: Mapping[str, str]
    """By edition: Active, Validating, Draining or Retired."""
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    """By edition, what keeps its servers from coming."""
    problem: Problem | None = None
    """Why nothing may be decided about it, or why the edition that spec names could not be made."""

    @property
    def key(self) -> str:
        return self.app.key

    @property
    def editions(self) -> Mapping[str, Raw]:
        return self.held.editions

    @property
    def sets(self) -> Mapping[str, ReplicaSet]:
        return self.held.sets

    @property
    def pods(self) -> list[Pod]:
        return self.held.pods

    def pods_of(self, edition: str) -> list[Pod]:
        return self.held.pods_of(edition)


Record: TypeAlias = RecordOf[Candidate]
ValidRecord: TypeAlias = RecordOf[ValidApp]


def observed(app: A, held: Holdings, now_s: float, problem: Problem | None = None) -> RecordOf[A]:
    """The record of an app with what it owns; ``problem``: one that its own spec does not tell."""
    last = rollouts.progress(app)
    active = rollouts.active(app, held, last)
    names = sorted(held.editions.keys() | held.sets.keys() | {pod.edition for pod in held.pods})
    found = ((name, troubles.trouble(held, name, now_s)) for name in names)
    return RecordOf(
        app=app,
        held=held,
        progress=last,
        active=active,
        states=rollouts.states(app, held, active, last),
        troubles={name: trouble for name, trouble in found if trouble is not None},
        problem=problem or app.problem,
    )


def is_valid(record: Record) -> TypeGuard[ValidRecord]:
    """Whether it may be acted on."""
    return isinstance(record.app, ValidApp)
