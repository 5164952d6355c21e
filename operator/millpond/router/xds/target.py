"""What all routers shall serve: what the operator published, less what can't be or was refused.

An app that a router refuses, or whose host and path another app has, stays at its last good configuration, with its
servers of now, and is tried again only when it changes. The others go on.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from millpond.router.config import AppRoutes, fault
from millpond.router.envoy.resources import Built, Resources, build
from millpond.router.xds.standin import with_servers_of, without_servers

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A version of the whole."""

    version: int = 0
    resources: Resources = field(default_factory=lambda: Resources({}))
    wanted: Mapping[str, Built | str] = field(default_factory=dict)
    """Per published app its newest configuration, whether or not it can be served, or what is wrong with it."""
    rejected: Mapping[str, str] = field(default_factory=dict)


class Board:
    """Keeps the newest target. One per operator."""

    def __init__(self) -> None:
        self.target = Target()
        self.listeners: set[asyncio.Event] = set()
        """Set whenever there is a new target."""
        self._newest: dict[str, tuple[AppRoutes, Built | str]] = {}
        self._refused: dict[str, tuple[Built, str]] = {}
        self._good: dict[str, Built] = {}
        self._before: dict[str, Built] = {}
        """What was good before that."""
        self._standins: dict[str, Built] = {}
        """What is served of rejected apps."""
        self._unfit: dict[str, AppRoutes] = {}
        """Those that were refused as well."""

    def publish(self, apps: Mapping[str, AppRoutes]) -> Target:
        """The target of these apps; the same object as before when nothing changed."""
        wanted = {key: self._wanted(key, app) for key, app in apps.items()}
        before = self.target.wanted
        if (
            self.target.version
            and before.keys() == wanted.keys()
            and all(wanted[k] is before[k] for k in wanted)
        ):
            return self.target
        self._newest = {key: self._newest[key] for key in wanted}
        self._refused = {key: found for key, found in self._refused.items() if wanted.get(key) is found[0]}
        self._good = {key: built for key, built in self._good.items() if key in wanted}
        self._before = {key: built for key, built in self._before.items() if key in self._good}
        return self._aim(wanted)

    def refuse(self, key: str, built: Built, message: str) -> None:
        """A router did not take this configuration of an app."""
        if self.target.wanted.get(key) is built:
            self._refused[key] = (built, message)
            if self._good.get(key) is built and key in self._before:
                self._good[key] = self._before.pop(key)  # another router had taken it
            self._aim(self.target.wanted)
        elif self._standins.get(key) is built and built.app.editions:
            self._unfit[key] = built.app
            self._aim(self.target.wanted)

    def accept(self, apps: Mapping[str, Built]) -> None:
        """A router serves these; whatever is refused later falls back to them."""
        for key, built in apps.items():
            if key in self.target.wanted and (good := self._good.get(key)) is not built:
                self._good[key] = built
                if good is not None:
                    self._before[key] = good

    def standins(self, target: Target) -> Mapping[str, Built]:
        """What is served of apps that are rejected as `target` has them, with the servers that they have there."""
        wanted = self.target.wanted
        return {
            key: built
            for key, built in self._standins.items()
            if built.app.editions and key in target.wanted and wanted.get(key) is target.wanted[key]
        }

    def _wanted(self, key: str, app: AppRoutes) -> Built | str:
        known = self._newest.get(key)
        if known is None or (known[0] is not app and known[0] != app):
            self._newest[key] = known = (app, _built(key, app))
        return known[1]

    def _aim(self, wanted: Mapping[str, Built | str]) -> Target:
        rejected = {key: found for key, found in wanted.items() if isinstance(found, str)}
        rejected |= {key: message for key, (_, message) in self._refused.items()}
        fine = {k: b for k, b in wanted.items() if isinstance(b, Built) and k not in rejected}
        rejected |= self._contested(fine)
        apps = {key: built for key, built in fine.items() if key not in rejected}
        # Last, so that a host that another app has got meanwhile stays with that one.
        self._standins = {key: self._standin(key, self._good[key]) for key in rejected if key in self._good}
        self._unfit = {key: app for key, app in self._unfit.items() if key in self._standins}
        apps |= self._standins
        version = self.target.version + 1
        self.target = Target(version=version, resources=Resources(apps), wanted=wanted, rejected=rejected)
        for listener in self.listeners:
            listener.set()
        return self.target

    def _standin(self, key: str, good: Built) -> Built:
        app = with_servers_of(good.app, self._newest[key][0])
        if app == self._unfit.get(key) or fault(app) is not None:
            app = without_servers(good.app)
        known = self._standins.get(key)
        return next((b for b in (known, good) if b is not None and b.app == app), None) or build(app)

    def _contested(self, apps: Mapping[str, Built]) -> Mapping[str, str]:
        """Apps that claim another one's host and path; whoever serves it keeps it, else the first published."""
        holder: dict[tuple[str, str], str] = {}
        for key, built in apps.items():
            good = self._good.get(key)
            for claim in built.claims:
                if claim not in holder or (good and claim in good.claims):
                    holder[claim] = key
        clashes = ((k, sorted(c for c in b.claims if holder[c] != k)) for k, b in apps.items())
        return {key: _taken(*found[0]) for key, found in clashes if found}


def _taken(host: str, what: str) -> str:
    """Without the other app's name, which may be another tenant's."""
    return f"host {host!r}{f' and {what!r}' if what else ''}: another app has it already"


def _built(key: str, app: AppRoutes) -> Built | str:
    wrong = f"key {app.key!r}: published as {key!r}" if app.key != key else None
    try:
        return fault(app) or wrong or build(app)
    except Exception as error:  # whatever it is about, the other apps are published
        log.exception("%s: its routes", key)
        return f"no configuration can be made of it ({type(error).__name__})"
