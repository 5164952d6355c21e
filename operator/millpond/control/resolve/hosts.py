"""Gives apps their hosts: what each asks for, what its namespace may have, who holds it, what is said of the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.control.guard.faults import Faults
from millpond.control.observe.grants import Grants
from millpond.control.resolve.candidates import Candidate, Contest
from millpond.control.resolve.claims import (
    NEVER_S,
    Claim,
    Claimant,
    Granted,
    Held,
    allocate,
    recorded,
    seconds,
)
from millpond_policies.reasons import Reason

_Asking = tuple[Candidate, Grants, Claimant]
_Outcome = dict[str, Any]  # the fields of an app that say what it holds, and what not
_Ask = tuple[str, Claim]  # the field that asks, such as spec.routes[0], and what for


def asked(spec: ElasticAppSpec | None) -> Iterator[_Ask]:
    """All that a spec asks for: of its routes, and where its next edition is looked at."""
    if spec is None:
        return
    for number, route in enumerate(spec.routes):
        yield f"spec.routes[{number}]", Claim(route.host, route.path_prefix)
    if spec.preview is not None and spec.preview.host is not None:
        yield "spec.rollout.preview.host", Claim(spec.preview.host)


@dataclass(slots=True)
class HostBook:
    """Settles who has what, each cycle; computes only what changed since the last one."""

    _claimants: dict[str, _Asking] = field(default_factory=dict)
    _allocated: tuple[tuple[Claimant, ...], Held] = ((), Held())
    _grants: Grants = field(default_factory=Grants)
    _outcomes: dict[str, tuple[_Asking, Held, _Outcome]] = field(default_factory=dict)
    _settled: dict[str, tuple[Candidate, _Outcome, Candidate]] = field(default_factory=dict)

    def settle(
        self, candidates: Mapping[str, Candidate], grants: Grants, faults: Faults | None = None
    ) -> dict[str, Candidate]:
        """The candidates, each with what it holds and with what it asks for in vain.

        ``faults``: take what fails for one app, which then stays as it was; without, it is raised.
        """
        grants = self._grants = self._grants if grants == self._grants else grants
        self._claimants = {key: self._guarded(app, grants, faults) for key, app in candidates.items()}
        claimants = tuple(claimant for _, _, claimant in self._claimants.values())
        if tuple(map(id, claimants)) != tuple(map(id, self._allocated[0])):
            self._allocated = (claimants, allocate(claimants))
        self._outcomes = {key: self._outcome(key, grants) for key in candidates}
        self._settled = {key: self._with(app, self._outcomes[key][2]) for key, app in candidates.items()}
        return {key: app for key, (_, _, app) in self._settled.items()}

    def _with(self, app: Candidate, outcome: _Outcome) -> tuple[Candidate, _Outcome, Candidate]:
        """The same value as before while neither is another."""
        known = self._settled.get(app.key)
        if known is not None and known[0] is app and known[1] is outcome:
            return known
        return app, outcome, replace(app, **outcome)

    def _outcome(self, key: str, grants: Grants) -> tuple[_Asking, Held, _Outcome]:
        about, held = self._claimants[key], self._allocated[1]
        known = self._outcomes.get(key)
        if known is not None and known[0] is about and known[1] is held:
            return known
        return about, held, _outcome(about[0], about[2], held, grants)

    def _guarded(self, app: Candidate, grants: Grants, faults: Faults | None) -> _Asking:
        try:
            return self._known(app, grants)
        except Exception as error:
            if faults is None:
                raise
            faults.failed(app.key, "hosts", error)
            nothing = Claimant(key=app.key, created_s=NEVER_S, asks=())
            return self._claimants.get(app.key, (app, grants, nothing))

    def _known(self, app: Candidate, grants: Grants) -> _Asking:
        known = self._claimants.get(app.key)
        if known is None:
            return app, grants, _claimant(app, grants)
        before, under, claimant = known
        if before.raw is app.raw and before.problem == app.problem and under is grants:
            return known
        made = _claimant(app, grants)
        return app, grants, claimant if claimant == made else made


def _claimant(app: Candidate, grants: Grants) -> Claimant:
    """An app whose spec cannot be read asks for all that it has: its last good routes stay.

    One from before claims were recorded, which serves, is as good as those that could run.
    """
    records = recorded(app.status)
    asks = dict.fromkeys(claim for _, claim in asked(app.served))
    if app.spec is None:
        asks |= dict.fromkeys(records)
    unread = app.namespace not in grants.known
    return Claimant(
        key=app.key,
        created_s=seconds(app.raw["metadata"].get("creationTimestamp")),
        asks=tuple(c for c in asks if grants.allows(app.namespace, c.host) or (unread and c in records)),
        records=records,
        cookie=_cookie(app.served, records),
        able=app.problem is None or _is_old(app),
    )


def _is_old(app: Candidate) -> bool:
    """Whether it serves from before claims were recorded: it has had its hosts all its life."""
    return "claims" not in app.status and bool(app.status.get("edition"))


def _cookie(spec: ElasticAppSpec | None, records: Mapping[Claim, Granted]) -> str | None:
    if spec is not None:
        return spec.affinity.cookie if spec.affinity else None
    return next((record.cookie for record in records.values()), None)


def _outcome(app: Candidate, claimant: Claimant, held: Held, grants: Grants) -> _Outcome:
    granted = {c: _record(app, claimant, c, held) for c in claimant.asks if held.claims.get(c) == app.key}
    wanted = tuple(asked(app.served))
    contests = (_contest(app, claimant, held, grants, *ask) for ask in wanted if ask[1] not in granted)
    return {
        "claims": granted,
        "crowded": frozenset(claim.host for claim in granted if claim.host in held.crowded),
        "denied": frozenset(claim for _, claim in wanted if claim not in granted),
        "contested": tuple(contest for contest in contests if contest is not None),
    }


def _record(app: Candidate, claimant: Claimant, claim: Claim, held: Held) -> Granted:
    known = claimant.records.get(claim)
    if known is None:
        known = Granted(since_s=claimant.created_s if _is_old(app) else NEVER_S)
    shared_s = known.shared_since_s
    if shared_s is None and claim.host in held.crowded:
        shared_s = NEVER_S
    return replace(known, cookie=claimant.cookie, shared_since_s=shared_s)


def _contest(
    app: Candidate, claimant: Claimant, held: Held, grants: Grants, where: str, claim: Claim
) -> Contest | None:
    """Why an app does not have what it asks for; None: only because it cannot run.

    Apps of other namespaces are not named: who has what is their business.
    """
    holder = held.claims.get(claim)
    if claim not in claimant.asks:
        reason, why = Reason.HOST_NOT_ALLOWED, grants.told(app.namespace)
    elif holder is not None:
        who = f"app {holder}" if holder.startswith(f"{app.namespace}/") else "another app"
        reason, why = Reason.HOST_TAKEN, f"{who} holds it and gets its requests: choose another host or path"
    elif claimant.cookie is not None and held.cookies.get((claim.host, claimant.cookie), app.key) != app.key:
        reason = Reason.AFFINITY_COOKIE_TAKEN
        why = f"another app on this host has the affinity cookie {claimant.cookie!r}: choose another affinity.cookie"
    else:
        return None
    return Contest(field=where, claim=claim, reason=reason, why=why)
