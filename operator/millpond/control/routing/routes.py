"""From pods to what the routers should know: which servers get requests, which only finish theirs."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from millpond.control.observe.objects import Pod
from millpond.control.observe.world import Holdings
from millpond.control.resolve.candidates import Candidate
from millpond.control.resolve.claims import Claim
from millpond.control.resolve.record import Record
from millpond.router.config import EDITION_COOKIE, AppRoutes, EditionRoute, Endpoint, Match, Pins, Preview
from millpond_policies.rollouts.rollback import AT_ONCE
from millpond_policies.world.release import Phase


def app_routes(record: Record) -> AppRoutes | None:
    """Routes of one app; None when it has nothing to route (no spec that ever could be read, no edition yet, or
    no host of its own).

    A server gets requests as soon as its containers are ready; being routed is what makes it Ready. A victim stays as a
    draining endpoint, so that its requests and sessions can finish. A pod that is being deleted is taken out: what it
    has it finishes, and a session that came back to it would meet its SIGTERM.
    """
    app, spec = record.app, record.app.served
    if spec is None or not record.editions:
        return None
    matches = tuple(
        Match(
            host=r.host,
            path_prefix=r.path_prefix,
            timeout_s=r.timeout_s,
            idle_timeout_s=r.idle_timeout_s,
            edition_cookies=edition_cookies(app, r.host),
        )
        for r in spec.routes
        if Claim(r.host, r.path_prefix) not in app.denied
    )
    if not matches:
        return None
    return AppRoutes(
        key=app.key,
        matches=matches,
        editions=_editions(record, spec.port),
        affinity_cookie=spec.affinity.cookie if spec.affinity else None,
        protocol=spec.protocol,
    )


def renewed(last: AppRoutes, holdings: Holdings) -> AppRoutes:
    """Routes that were published before, with the servers of now: whose address it was may be another's by now."""
    editions = (
        replace(edition, endpoints=_endpoints(holdings.pods_of(edition.name), edition.endpoints[0].port))
        for edition in last.editions
        if edition.endpoints
    )
    return replace(last, editions=tuple(editions))


def _editions(record: Record, port: int) -> tuple[EditionRoute, ...]:
    endpoints = {name: _endpoints(record.pods_of(name), port) for name in sorted(record.editions)}
    shares = weights(record, endpoints)
    return tuple(
        EditionRoute(
            name=name,
            endpoints=endpoints[name],
            weight=shares.get(name, 0),
            preview=_preview(record, name),
            pins=_pins(record, name, shares.get(name, 0)),
        )
        for name in endpoints
        if shares.get(name) or record.pods_of(name)
    )


def edition_cookies(app: Candidate, host: str) -> tuple[str, ...]:
    """Names of its edition cookie: one of its own where others may have set the usual one.

    Sessions live through the moment at which a host becomes shared, or the app's alone again: it believes what it set
    before.
    """
    records = [record for claim, record in app.claims.items() if claim.host == host]
    shared_s = min((r.shared_since_s for r in records if r.shared_since_s is not None), default=None)
    if shared_s is None:
        return (EDITION_COOKIE,)
    own = f"{EDITION_COOKIE}-{hashlib.sha256(app.uid.encode()).hexdigest()[:8]}"
    if host not in app.crowded:
        return (EDITION_COOKIE, own)
    was_alone = min(r.since_s for r in records) < shared_s
    return (own, EDITION_COOKIE) if was_alone else (own,)


def weights(record: Record, endpoints: Mapping[str, Iterable[Endpoint]]) -> dict[str, int]:
    """Percent of new sessions by edition; all others only finish what they have.

    What an edition without a server should get, another one gets that has servers and a share: 90 % for v1 and 10 % for
    v2 are 100 % for v2 while no server of v1 is ready.
    """
    shares = _declared(record)
    served = {name for name, servers in endpoints.items() if not all(e.draining for e in servers)}
    able = [name for name, share in shares.items() if share and name in served]
    return {name: 100 * (name == able[0]) for name in shares} if len(able) == 1 else shares


def _declared(record: Record) -> dict[str, int]:
    serves, last = record.active, record.progress
    if last is None or last.phase.final or last.edition not in record.editions or serves is None:
        return {serves: 100} if serves else {}
    return {serves: 100 - last.weight, last.edition: last.weight}


def _preview(record: Record, edition: str) -> Preview | None:
    """Who reaches the edition that comes, whatever its share: testers; from a step by header on, whoever has it."""
    app, last = record.app, record.progress
    if app.served is None or last is None or last.phase.final or last.edition != edition:
        return None
    rollout = app.served.rollout
    if last.phase is Phase.ROLLING_BACK:
        return None
    headers = [step.header for step in rollout.planned_steps[: last.step] if step.header]
    if headers:
        return Preview(header=(headers[-1].name, headers[-1].value))
    if rollout.preview is None or last.step:
        return None
    return Preview(
        header=(rollout.preview.header, edition) if rollout.preview.header else None,
        hosts=(host,) if (host := rollout.preview.host) and Claim(host) not in app.denied else (),
    )


def _pins(record: Record, edition: str, weight: int) -> Pins:
    """Whom an edition's cookie brings back: one that serves everybody, one that drains those who are at it.

    Nobody to an edition that is taken back because requests fail there, nor to one that was not yet let in upon users.
    """
    app, last = record.app, record.progress
    if last is not None and last.edition == edition:
        if last.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK) and last.reason in AT_ONCE:
            return Pins.NONE
        begins = not (last.phase.final or last.phase is Phase.ROLLING_BACK or last.step or weight)
        if begins and not _served_before(record.pods_of(edition), last.started_s):
            return Pins.NONE
    if weight:
        return Pins.ALL
    if app.served is not None and app.served.affinity is not None:
        return Pins.BOUND
    return Pins.NONE if record.states[edition] == "Validating" else Pins.ALL


def _served_before(pods: Iterable[Pod], at_s: float) -> bool:
    """An edition that one goes back to may still have sessions."""
    return any(pod.gate_since_s is not None and pod.gate_since_s < at_s for pod in pods)


def _endpoints(pods: Iterable[Pod], port: int) -> tuple[Endpoint, ...]:
    return tuple(
        sorted(
            (
                Endpoint(address=p.address, port=port, draining=is_draining(p))
                for p in pods
                if p.address and not p.deleting and (p.containers_ready or (is_draining(p) and p.started))
            ),
            key=lambda e: (e.address, e.port),
        )
    )


def is_draining(pod: Pod) -> bool:
    return pod.retire is not None or pod.leaving
