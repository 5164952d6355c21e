"""A script: what a person types one after the other while traffic flows, and what each step must come to."""

import shlex
from dataclasses import dataclass, replace

from millpond_policies.reasons import Reason
from millpond_policies.world.release import Phase

Command = tuple[str, ...]
"""As a person types it: `millpond …` or `kubectl …`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptStep:
    title: str
    commands: tuple[Command, ...]
    edition: str
    """The edition whose rollout this is."""
    phase: Phase
    """How that must end."""
    reason: Reason
    serves: str
    """The edition that serves then; before the next step it is the only one with servers."""
    hold_s: float
    """The traffic flows for so long before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The traffic meanwhile; shares are from 0 to 1."""

    sessions: float = 0.3
    session_s: float = 15.0
    """The longest session; the shortest lasts half of it."""
    slow: float = 0.02
    """Requests that take 3 s."""
    post: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    steps: tuple[ScriptStep, ...]
    mix: Mix
    after_s: float
    """The traffic flows for so long after the last step."""

    @property
    def holds_s(self) -> float:
        return sum(step.hold_s for step in self.steps) + self.after_s

    def at_speed(self, speed: float) -> "Script":
        """The same steps with shorter holds; what happens between two holds takes the time that it takes."""
        steps = tuple(replace(step, hold_s=step.hold_s / speed) for step in self.steps)
        return replace(self, steps=steps, after_s=self.after_s / speed)


def typed(command: Command) -> str:
    return shlex.join(command)
