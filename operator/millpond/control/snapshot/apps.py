"""From API objects and metrics to the apps of the Snapshot that `plan` sees: the only way in."""

from collections.abc import Mapping

from millpond.api.kinds.dynamicpool import Zone
from millpond.control.learn.knowledge import Knowledge
from millpond.control.observe import troubles
from millpond.control.observe.objects import Pod, ReplicaSet
from millpond.control.observe.world import Holdings
from millpond.control.resolve import rollouts
from millpond.control.resolve.candidates import Candidate
from millpond.control.resolve.record import ValidRecord
from millpond_policies.world.constraints import Resources
from millpond_policies.world.model import App, EditionView, Server, ServerState, holds

InFlight = Mapping[str, int]  # by pod UID; absent: unknown


def viewed(
    record: ValidRecord,
    knowledge: Knowledge,
    in_flight: InFlight,
    now_s: float,
) -> App | None:
    """The app as `plan` sees it; None while no edition of it serves.

    Where the edition that spec names could not be made, what serves goes on, and is sized as ever.
    """
    if record.active not in record.sets:
        return None
    return app_view(record, knowledge, in_flight, now_s)


def app_view(
    record: ValidRecord,
    knowledge: Knowledge,
    in_flight: InFlight,
    now_s: float,
) -> App:
    app, spec = record.app, record.app.spec
    active = record.active or spec.edition
    named = active if record.problem is not None or spec.edition not in record.sets else spec.edition
    return App(
        key=app.key,
        edition=named,
        active=active,
        goal=app.goal,
        min_servers=spec.servers.min,
        max_servers=spec.servers.max,
        importance=app.policy.importance,
        mode=spec.mode,
        manual_servers=spec.replicas,
        paused_until_s=paused_until_s(app),
        pool=spec.pool,
        static=app.pool.zone is Zone.STATIC,
        way=rollouts.way(app, record.held, record.active, now_s),
        progress=record.progress,
        watched_since_s=knowledge.since_s,
        editions=tuple(_edition_view(record, name, knowledge, now_s) for name in sorted(record.sets)),
        servers=servers(record.held, in_flight, now_s),
    )


def servers(held: Holdings, in_flight: InFlight, now_s: float) -> tuple[Server, ...]:
    return tuple(
        server(pod, held.sets.get(pod.edition), in_flight.get(pod.uid))
        for pod in sorted(held.pods, key=lambda p: p.name)
        if not (pod.finished or pod.overdue(now_s))
    )


def paused_until_s(app: Candidate) -> float | None:
    if app.served is None or app.served.paused is None:
        return None
    return app.served.paused.until_s


def is_paused(app: Candidate, now_s: float) -> bool:
    return holds(paused_until_s(app), now_s)


def _edition_view(record: ValidRecord, name: str, knowledge: Knowledge, now_s: float) -> EditionView:
    known = knowledge.of(record.key, name, record.editions.get(name))
    stuck = record.troubles.get(name)
    return EditionView(
        name=name,
        ordered=record.sets[name].replicas,
        memory=known.memory,
        freshness=known.freshness(now_s),
        evidence=known.evidence,
        stuck=stuck.message if stuck else None,
        refused=troubles.refused(record.held, name),
        requests=_requests(record, name),
        constraints=record.sets[name].constraints,
    )


def _requests(record: ValidRecord, edition: str) -> Resources | None:
    """Of one of its pods, to which the cluster's defaults were added; before there is one, of its template."""
    pod = next((p for p in record.pods if p.edition == edition and not p.leaving), None)
    return record.sets[edition].requests if pod is None else pod.requests


def server(pod: Pod, owned: ReplicaSet | None, in_flight: int | None) -> Server:
    return Server(
        uid=pod.uid,
        name=pod.name,
        edition=pod.edition,
        state=state(pod, owned),
        created_s=pod.created_s,
        node=pod.node,
        serving_since_s=pod.gate_since_s if pod.gate else None,
        in_flight=in_flight,
        reachable=pod.containers_ready and not pod.deleting,  # what is published is not always known yet
    )


def state(pod: Pod, owned: ReplicaSet | None) -> ServerState:
    """DRAINING: a victim that its ReplicaSet still counts; TERMINATING: one that it does not count any more."""
    removal_ordered = pod.retire is not None and owned is not None and owned.victim_uid == pod.uid
    if pod.deleting or removal_ordered:
        return ServerState.TERMINATING
    if pod.retire is not None:
        return ServerState.DRAINING
    if pod.serving:
        return ServerState.SERVING
    if pod.node is None or not pod.started:
        return ServerState.PENDING if pod.gate is None else ServerState.UNHEALTHY
    return ServerState.STARTING if pod.gate is None or pod.containers_ready else ServerState.UNHEALTHY
