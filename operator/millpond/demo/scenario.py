"""A scenario: what is deployed, which load it gets, what is done meanwhile, and what must be true afterwards."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from millpond.demo.recording import Recording
from millpond.demo.requests.profile import Profile
from millpond.demo.script import Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    passed: bool
    measured: str
    goal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    title: str
    manifests: tuple[Path, ...]
    """Files or folders for kubectl, applied in this order."""
    namespace: str
    app: str
    host: str
    """Host header that leads to the app."""
    goal_ms: float
    """What the manifests' SLAPolicy says: average response time."""
    slots: int
    service_time_ms: float
    """What one server of the manifests does: `slots` requests at the same time, each in this time."""
    sequence: tuple[int, ...]
    """Servers ordered on the way up; the first also is where it must end."""
    profile: Profile
    """The load. With a script: about how long it takes; the load lasts until it is over."""
    script: Script | None = None
    calm_s: float = 0.0
    """The last rate is held at least so long at any speed: servers go only after a full window of metrics.

    With a script: about how long its rollouts take altogether, at any speed.
    """
    images: Mapping[str, Mapping[str, str]]
    """The manifests' images: each is the sample application with these settings (its environment)."""
    checks: tuple[Callable[["Scenario", Recording], tuple[Check, ...]], ...]

    def without(self, check: Callable[["Scenario", Recording], tuple[Check, ...]]) -> "Scenario":
        """For where that cannot be looked at."""
        return replace(self, checks=tuple(c for c in self.checks if c is not check))

    @property
    def server_capacity_rps(self) -> float:
        return self.slots * 1000 / self.service_time_ms

    def at_speed(self, speed: float) -> "Scenario":
        """The same rates, held for 1/speed of the time, but for `calm_s`. ValueError unless `speed` is above 0."""
        if not speed > 0:
            raise ValueError(f"speed {speed}: must be above 0")
        if self.script:
            script = self.script.at_speed(speed)
            return replace(self, script=script, profile=steady(script, self.calm_s, self.profile.rate_rps(0)))
        return replace(self, profile=self.profile.compressed(speed, last_s=self.calm_s))

    def lasting(self, duration_s: float) -> "Scenario":
        """The same rates, squeezed or stretched to about `duration_s`. Raises ValueError unless above 0."""
        if not duration_s > 0:
            raise ValueError(f"duration {duration_s} s: must be above 0")
        if self.script:
            return self.at_speed(self.script.holds_s / max(1.0, duration_s - self.calm_s))
        return self.at_speed(self.profile.duration_s / duration_s)


def steady(script: Script, rollouts_s: float, rate_rps: float) -> Profile:
    """The load of a script, whose rollouts take about so long."""
    return Profile.steps((script.holds_s + rollouts_s, rate_rps))


def names() -> tuple[str, ...]:
    """Every module of `millpond.demo.scenarios` is one scenario, named like the module."""
    package = import_module("millpond.demo.scenarios")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def load(name: str) -> Scenario:
    """Raises ValueError when there is no such scenario."""
    if name not in names():
        raise ValueError(f"scenario {name!r}: must be one of {', '.join(names())}")
    scenario: Scenario = import_module(f"millpond.demo.scenarios.{name}").SCENARIO
    return scenario
