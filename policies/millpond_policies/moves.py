"""From a number of servers to the actions that lead there: which servers are added, taken back, retired."""

from collections.abc import Callable
from dataclasses import replace

from millpond_policies.actions import Because, CancelRetire, CancelStarting, Grow, Hold, Retire, Verdict
from millpond_policies.model import App, EditionView, Server, ServerState
from millpond_policies.reasons import Reason
from millpond_policies.sizing import kept

Why = Callable[[Reason, int], Because]  # (reason, servers after the step) → the explanation

_GOING = (ServerState.DRAINING, ServerState.TERMINATING)
_COMING = (ServerState.PENDING, ServerState.STARTING)


def up(app: App, view: EditionView, to: int, reason: Reason, why: Why) -> tuple[Verdict, ...]:
    """Up to ``to`` servers at once: first those that are draining come back, then new ones are ordered."""
    now = kept(app, view)
    draining = sorted(app.servers_of(view.name, ServerState.DRAINING), key=lambda s: s.uid)
    back = draining[: max(0, to - now)]
    verdicts: list[Verdict] = [
        CancelRetire(
            app=app.key,
            edition=view.name,
            uid=s.uid,
            name=s.name,
            because=_from(now + i - 1, why(reason, now + i)),
        )
        for i, s in enumerate(back, 1)
    ]
    order = view.ordered + to - now - len(back)
    if order > view.ordered:
        because = _from(view.ordered, why(reason, to))
        verdicts.append(Grow(app=app.key, edition=view.name, to=order, because=because))
    return tuple(verdicts)


def down(app: App, view: EditionView, to: int, reason: Reason, why: Why) -> tuple[Verdict, ...]:
    """Towards ``to`` servers: those that don't serve yet are taken back at once, others are drained one at a time."""
    now = kept(app, view)
    if any(s.state in _GOING for s in app.servers):
        return (Hold(app=app.key, edition=view.name, because=why(Reason.DRAIN_IN_PROGRESS, now)),)
    idle = min(now - to, _cancellable(app, view))
    if idle > 0:
        order = view.ordered - idle
        because = _from(view.ordered, why(reason, order))
        return (CancelStarting(app=app.key, edition=view.name, to=order, because=because),)
    victim = choose_victim(app, view)
    if victim is None:
        return (Hold(app=app.key, edition=view.name, because=why(Reason.STARTING_SERVERS_COUNT, now)),)
    because = _from(now, why(reason, now - 1))
    return (Retire(app=app.key, edition=view.name, uid=victim.uid, name=victim.name, because=because),)


def _from(ordered: int, because: Because) -> Because:
    """The explanation is of the step's result; what was ordered before it is said here."""
    return replace(because, servers=ordered)


def choose_victim(app: App, view: EditionView) -> Server | None:
    """Broken before sound, then the one with the least to finish, then the youngest (it holds the fewest sessions).

    None while servers are starting that could not be taken back: they will be victims soon, or serve.
    """
    candidates = app.servers_of(view.name, ServerState.SERVING, ServerState.UNHEALTHY)
    return min(candidates, key=_reluctance, default=None)


def _reluctance(server: Server) -> tuple[bool, float, float, str]:
    in_flight = float("inf") if server.in_flight is None else server.in_flight
    since_s = server.created_s if server.serving_since_s is None else server.serving_since_s
    return server.state is ServerState.SERVING, in_flight, -since_s, server.uid


def _cancellable(app: App, view: EditionView) -> int:
    """How many servers a ReplicaSet with fewer replicas is sure to take from those that don't serve.

    It removes unscheduled and Pending pods first, then running ones that are not ready. Among the latter may be servers
    with requests: unhealthy ones, and one that the routers just learned of. Then only the former are taken back.
    """
    pending = app.servers_of(view.name, ServerState.PENDING)
    starting = app.servers_of(view.name, ServerState.STARTING)
    unready = app.servers_of(view.name, ServerState.UNHEALTHY, *_GOING)
    coming = (*pending, *starting)
    missing = max(
        0, view.ordered - len(coming) - len(app.servers_of(view.name, ServerState.SERVING)) - len(unready)
    )
    if unready or any(s.in_flight or s.reachable for s in coming):
        return len(pending) if not any(s.in_flight or s.reachable for s in pending) else 0
    return len(coming) + missing
