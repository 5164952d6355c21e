"""Size what each application needs, within its limits."""

from collections.abc import Iterator
from dataclasses import dataclass

from millpond_policies.reasons import Reason
from millpond_policies.size.moves import Why, down, up
from millpond_policies.size.sizing import Size, kept, missed, size
from millpond_policies.world.actions import Because, Hold, Refused, Verdict
from millpond_policies.world.model import App, EditionView, Freshness, Mode, Server, ServerState, Snapshot

IGNORANCE = {
    Freshness.STALE: Reason.METRICS_STALE,
    Freshness.PARTIAL: Reason.METRICS_PARTIAL,
    Freshness.MISSING: Reason.METRICS_MISSING,
}


def stage(snapshot: Snapshot, now_s: float) -> tuple[Verdict, ...]:
    """Of every app for which no rollout decides."""
    apps = (app for app in snapshot.judged if not (app.rolls_out or app.key in snapshot.ended))
    return tuple(verdict for app in apps for verdict in judge(app, now_s))


def judge(app: App, now_s: float) -> tuple[Verdict, ...]:
    """Sizes what serves. The first that applies: paused, below the floor, allocated by hand, Manual, Automatic."""
    view = app.view(app.active)
    if view is None:
        because = Because(reason=Reason.NO_SAMPLES, servers=0, wanted=app.min_servers)
        return (Hold(app=app.key, edition=app.active, because=because),)
    sizing = _Sizing(app=app, view=view, now_s=now_s, size=size(app, view, now_s))
    if app.paused(now_s):
        return sizing.hold(Reason.PAUSED)
    if app.mode is Mode.MANUAL and not app.static:
        return sizing.manual()
    if sizing.kept < app.min_servers:
        return sizing.grow(clamp(app, sizing.size.needed or 0), Reason.BELOW_FLOOR)
    if app.static:
        return sizing.hold(Reason.STATIC_POOL)
    return sizing.automatic()


def clamp(app: App, servers: int) -> int:
    """Within the app's limits; the floor is the stronger one."""
    return max(app.min_servers, min(servers, app.ceiling))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizing:
    app: App
    view: EditionView
    now_s: float
    size: Size

    @property
    def kept(self) -> int:
        return kept(self.app, self.view)

    def manual(self) -> tuple[Verdict, ...]:
        wanted = clamp(self.app, self.app.manual_servers)
        if wanted > self.kept:
            return self.grow(wanted, Reason.MANUAL)
        if wanted < self.kept:
            return down(self.app, self.view, wanted, Reason.MANUAL, self._why(wanted))
        return self.hold(Reason.MANUAL)

    def automatic(self) -> tuple[Verdict, ...]:
        needed = self.size.needed
        if needed is not None:
            wanted = clamp(self.app, needed + self._broken(needed))
            if self.view.refused and wanted > self.kept:  # orders would pile up, and all come at once later
                wanted = min(wanted, self.kept + len(self._there(ServerState.DRAINING)))
            if wanted > self.kept:
                return self.grow(wanted, self.size.reason)
        if self.view.freshness is not Freshness.FRESH:
            return self.hold(IGNORANCE[self.view.freshness])
        if self.kept > self.app.ceiling:
            return self._shrink(self.app.ceiling, Reason.ABOVE_CEILING)
        if needed is None:
            return self.hold(self.size.reason)
        if self.size.window is not None:
            wanted = clamp(self.app, max(self.size.window, needed))
            if wanted < self.kept:
                return self._shrink(wanted, Reason.LOAD_FELL)
        return self.hold(self._why_steady(needed))

    def grow(self, wanted: int, reason: Reason) -> tuple[Verdict, ...]:
        return up(self.app, self.view, wanted, reason, self._why(wanted))

    def hold(self, reason: Reason) -> tuple[Verdict, ...]:
        because = self._why(self.kept)(reason, self.kept)
        return (Hold(app=self.app.key, edition=self.view.name, because=because),)

    def _shrink(self, wanted: int, reason: Reason) -> tuple[Verdict, ...]:
        if any(e.ordered or self.app.servers_of(e.name) for e in self.app.editions if e is not self.view):
            return self.hold(Reason.EDITION_SWAP)
        return down(self.app, self.view, wanted, reason, self._why(wanted))

    def _broken(self, needed: int) -> int:
        """Unhealthy servers are expected back, unless the others don't manage: then they are made up for."""
        memory = self.view.memory
        if memory.backlogged < 2 and not missed(memory, self.app.goal, self.now_s):
            return 0
        return min(needed, len(self.app.servers_of(self.view.name, ServerState.UNHEALTHY)))

    def _there(self, *states: ServerState) -> tuple[Server, ...]:
        return self.app.servers_of(self.view.name, *states)

    def _why_steady(self, needed: int) -> Reason:
        starting = self._there(ServerState.PENDING, ServerState.STARTING)
        there = self._there(ServerState.SERVING, ServerState.UNHEALTHY)
        if self.view.refused and needed > len(starting) + len(there):
            return Reason.PODS_REFUSED
        if self.size.reason is Reason.SLA_UNATTAINABLE:
            return Reason.SLA_UNATTAINABLE
        if needed > self.kept:
            return Reason.AT_CEILING
        if needed > self.kept - len(starting):
            return Reason.STARTING_SERVERS_COUNT
        if needed < self.kept == self.app.min_servers:
            return Reason.AT_FLOOR if self.app.min_servers > 1 else Reason.STEADY
        return Reason.SHRINK_WINDOW_OPEN if needed < self.kept else Reason.STEADY

    def _why(self, wanted: int) -> Why:
        def because(reason: Reason, servers: int) -> Because:
            return Because(
                reason=reason,
                servers=servers,
                wanted=wanted,
                needed=self.size.needed,
                limited_by=self._limit(reason, wanted),
                inputs=self.size.inputs,
                refused=tuple(self._refused(reason, servers)),
            )

        return because

    def _limit(self, reason: Reason, wanted: int) -> Reason | None:
        asked = self.app.manual_servers if reason is Reason.MANUAL else self.size.needed
        if reason in (Reason.PAUSED, Reason.STATIC_POOL, Reason.DRAIN_IN_PROGRESS, Reason.SHRINK_WINDOW_OPEN):
            return reason
        if reason in IGNORANCE.values() or reason is Reason.SLA_UNATTAINABLE:
            return reason
        if asked is not None and asked > wanted >= self.app.ceiling:
            return Reason.AT_CEILING
        return Reason.AT_FLOOR if asked is not None and asked < wanted <= self.app.min_servers else None

    def _refused(self, reason: Reason, servers: int) -> Iterator[Refused]:
        """One server fewer and one more: why not?"""
        needed, window = self.size.needed, self.size.window
        if servers <= self.app.min_servers:
            fewer = Reason.AT_FLOOR
        elif needed is not None and servers <= needed:
            fewer = self.size.reason
        else:
            fewer = IGNORANCE.get(self.view.freshness, Reason.SHRINK_WINDOW_OPEN)
            fewer = Reason.FORECAST_ABOVE_CAPACITY if window is not None and servers <= window else fewer
        if servers > 1:
            yield Refused(servers=servers - 1, reason=reason if reason is Reason.MANUAL else fewer)
        more = Reason.AT_CEILING if servers >= self.app.ceiling else Reason.STEADY
        yield Refused(servers=servers + 1, reason=more)
