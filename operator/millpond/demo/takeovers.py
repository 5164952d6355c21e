"""What the API server says about the editions of one app: when each was named, what serves, how rollouts went."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from millpond.clock import Clock
from millpond.control.observe.objects import Pod
from millpond.demo.recording import Arrival, Moment, Ready
from millpond.kube.client import Object


@dataclass(slots=True)
class Takeovers:
    """Times are seconds since the epoch here."""

    clock: Clock
    moments: list[Moment] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)

    @property
    def last(self) -> Moment | None:
        return self.moments[-1] if self.moments else None

    def note_app(self, app: Object) -> None:
        now_s, named = self.clock(), str(app["spec"]["edition"])
        if not self.arrivals or self.arrivals[-1].edition != named:
            self.arrivals.append(Arrival(t_s=now_s, edition=named))
        told = (app.get("status") or {}).get("rollout")
        if told and (self.last is None or replace(_moment(told, 0.0), t_s=self.last.t_s) != self.last):
            self.moments.append(_moment(told, now_s))

    def note_pods(self, pods: Iterable[Pod]) -> None:
        staying = [p for p in pods if not p.retiring]  # what leaves is of an earlier time
        serving = Counter(p.edition for p in staying if p.serving)
        if not self.ready or self.ready[-1].servers != serving:
            self.ready.append(Ready(t_s=self.clock(), servers=serving))
        if self.arrivals:
            named = self.arrivals[-1].edition
            self._note_arrival([p for p in staying if p.edition == named])

    def _note_arrival(self, servers: list[Pod]) -> None:
        last = self.arrivals[-1]
        if servers and last.created_s is None:
            last = replace(last, created_s=self.clock())
        if last.up_s is None and any(server.containers_ready for server in servers):
            last = replace(last, up_s=self.clock())
        self.arrivals[-1] = last

    def moments_since(self, start_s: float) -> tuple[Moment, ...]:
        """With times counted from `start_s`."""
        return tuple(replace(m, t_s=m.t_s - start_s) for m in self.moments if m.t_s >= start_s)

    def arrivals_since(self, start_s: float) -> tuple[Arrival, ...]:
        def since(at_s: float | None) -> float | None:
            return None if at_s is None else at_s - start_s

        return tuple(
            replace(a, t_s=a.t_s - start_s, created_s=since(a.created_s), up_s=since(a.up_s))
            for a in self.arrivals
            if a.t_s >= start_s
        )

    def ready_since(self, start_s: float) -> tuple[Ready, ...]:
        """What stood at `start_s` is the first."""
        standing = [replace(r, t_s=start_s) for r in self.ready if r.t_s <= start_s][-1:]
        later = [r for r in self.ready if r.t_s > start_s]
        return tuple(replace(r, t_s=r.t_s - start_s) for r in standing + later)


def _moment(told: Mapping[str, Any], t_s: float) -> Moment:
    return Moment(
        t_s=t_s,
        edition=told["edition"],
        origin=told["from"],
        strategy=told["strategy"],
        phase=told["phase"],
        step=told.get("step", 0),
        steps=told.get("steps", 0),
        weight=told.get("weight", 0),
        reason=told["reason"],
        message=told.get("message", ""),
    )
