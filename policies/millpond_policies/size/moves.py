"""From a number of servers to the actions that lead there: which servers are added, taken back, retired."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from millpond_policies.reasons import Reason
from millpond_policies.size.sizing import kept
from millpond_policies.world.actions import Because, CancelRetire, CancelStarting, Grow, Hold, Retire, Verdict
from millpond_policies.world.model import App, EditionView, Server, ServerState

Why = Callable[[Reason, int], Because]  # (reason, servers after the step) → the explanation

_GOING = (ServerState.DRAINING, ServerState.TERMINATING)
_COMING = (ServerState.PENDING, ServerState.STARTING)


def up(app: App, view: EditionView, to: int, reason: Reason, why: Why) -> tuple[Verdict, ...]:
    """Up to ``to`` servers at once: first those that are draining come back, then new ones are ordered."""
    now = kept(app, view)
    draining = sorted(app.servers_of(view.name, ServerState.DRAINING), key=_readiness_to_stay)
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


def down(
    app: App, view: EditionView, to: int, reason: Reason, why: Why, at_a_time: int = 1
) -> tuple[Verdict, ...]:
    """Towards ``to`` servers: those that don't serve yet are taken back at once, others are drained.

    At most ``at_a_time`` servers of the app are on their way out at once, whatever edition they belong to.
    """
    now = kept(app, view)
    going = sum(s.state in _GOING for s in app.servers)
    if going >= at_a_time:
        return (Hold(app=app.key, edition=view.name, because=why(Reason.DRAIN_IN_PROGRESS, now)),)
    idle = 0 if going else min(now - to, _cancellable(app, view))
    if idle > 0:
        order = view.ordered - idle
        because = _from(view.ordered, why(reason, order))
        return (CancelStarting(app=app.key, edition=view.name, to=order, because=because),)
    victims = choose_victims(app, view, min(at_a_time - going, now - to))
    if not victims:
        return (Hold(app=app.key, edition=view.name, because=why(Reason.STARTING_SERVERS_COUNT, now)),)
    return tuple(
        Retire(
            app=app.key,
            edition=view.name,
            uid=s.uid,
            name=s.name,
            because=_from(now - i + 1, why(reason, now - i)),
        )
        for i, s in enumerate(victims, 1)
    )


def _from(ordered: int, because: Because) -> Because:
    """The explanation is of the step's result; what was ordered before it is said here."""
    return replace(because, servers=ordered)


def choose_victims(app: App, view: EditionView, count: int) -> tuple[Server, ...]:
    """Up to ``count`` servers, the best victim first; one that was named before is never chosen again.

    Broken before sound, then the one with the least to finish, then from the node with the fewest servers of the app
    (so that nodes empty), then the youngest (it holds the fewest sessions).
    """
    candidates = list(app.servers_of(view.name, ServerState.SERVING, ServerState.UNHEALTHY))
    on_node = Counter(s.node for s in app.servers if s.state not in _GOING)
    victims: list[Server] = []
    while candidates and len(victims) < count:
        victim = min(candidates, key=lambda s: _reluctance(s, on_node[s.node]))
        candidates.remove(victim)
        on_node[victim.node] -= 1  # a node that is being emptied goes on being emptied
        victims.append(victim)
    return tuple(victims)


def _reluctance(server: Server, on_node: int) -> tuple[bool, float, float, float, str]:
    in_flight = float("inf") if server.in_flight is None else server.in_flight
    since_s = server.created_s if server.serving_since_s is None else server.serving_since_s
    crowd = float("inf") if server.node is None else on_node
    return server.state is ServerState.SERVING, in_flight, crowd, -since_s, server.uid


def _readiness_to_stay(server: Server) -> tuple[int, str]:
    """The busiest comes back first: the others may be gone in a moment."""
    return -(server.in_flight or 0), server.uid


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
