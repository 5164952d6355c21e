"""How many servers an app has and is to have: of every app there is, whatever its problem. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from millpond.control.observe.world import Holdings
from millpond.control.resolve.candidates import Candidate
from millpond.control.snapshot.apps import servers
from millpond_policies.world.model import App, Server, ServerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    there: int
    """All but those that are being deleted."""
    desired: int
    """Those that are to stay: what is ordered, less the victims that the ReplicaSets still count; before anything could
    be ordered, the fewest that its spec asks for."""
    ready: int
    starting: int
    draining: int


def counts(app: Candidate, held: Holdings, view: App | None, now_s: float) -> Counts:
    """``view``: as `plan` saw it; None when there was nothing to be decided about it."""
    found = servers(held, {}, now_s) if view is None else view.servers
    ordered = [s.replicas for s in held.sets.values()] if view is None else [e.ordered for e in view.editions]
    draining = count(found, ServerState.DRAINING)
    return Counts(
        there=len(found) - count(found, ServerState.TERMINATING),
        desired=sum(ordered) - draining if ordered else _asked(app),
        ready=count(found, ServerState.SERVING),
        starting=count(found, ServerState.PENDING, ServerState.STARTING),
        draining=draining,
    )


def count(found: Iterable[Server], *states: ServerState) -> int:
    return sum(s.state in states for s in found)


def _asked(app: Candidate) -> int:
    return 1 if app.served is None else app.served.floor
