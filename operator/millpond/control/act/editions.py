"""Editions and their ReplicaSets: one immutable version of an app, one ReplicaSet that keeps its servers alive."""

import contextlib
from typing import Any

from millpond.api.approval import submission
from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.api.kinds.template import template_hash
from millpond.api.names import API_VERSION, LABEL_APP, LABEL_EDITION, edition_object
from millpond.clock import Clock, steady_s
from millpond.control.act.backoff import RefusalBackoff
from millpond.control.act.template import server_template
from millpond.control.observe.objects import controller
from millpond.control.observe.world import Holdings, World
from millpond.control.obstacles import refusals
from millpond.control.resolve.candidates import Problem, ValidApp
from millpond.control.resolve.record import ValidRecord
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from millpond.kube.raw import fields, number
from millpond_policies.reasons import Reason

Raw = dict[str, Any]
_TEMPLATES_FAULT = (400, 422)
_WEBHOOK = "calling webhook"  # what the API server says of one that does not answer


class Editions:
    """Makes what is missing. Remembers what the API server has refused, so that it does not ask every second."""

    def __init__(self, api: Api, world: World, clock: Clock = steady_s) -> None:
        self.api = api
        self.world = world
        self._refused = RefusalBackoff(clock)

    def look(self, record: ValidRecord) -> tuple[Problem | None, bool]:
        """The problem that is known without asking, and whether there is nothing to be written."""
        named = record.app.spec.edition in record.editions
        complete = named and not _without_set(record) and not _oldest(record)
        return _conflict(record.app, record.held), complete

    async def ensure(self, record: ValidRecord) -> Problem | None:
        """Make the Edition that spec names, and a ReplicaSet for each edition that has none.

        Returns the problem that stopped it: a template that the API server refuses (server-side dry run of its
        ReplicaSet), or an edition of that name with another template. Nothing that runs is touched in either case.
        """
        app, holdings = record.app, record.held
        problem = _conflict(app, holdings)
        if app.spec.edition not in holdings.editions:
            problem = await self._create_edition(app, holdings)
        for name in _without_set(record):
            serves = name == (record.active or app.spec.edition)
            problem = await self._create_set(app, holdings.editions[name], holdings, serves=serves) or problem
        await self._forget_oldest(record)
        return problem

    async def _forget_oldest(self, record: ValidRecord) -> None:
        for name in _oldest(record):
            edition = record.held.editions.pop(name)
            path = paths.editions(record.app.namespace, edition["metadata"]["name"])
            with contextlib.suppress(NotFound):
                await self.api.delete(path, uid=edition["metadata"]["uid"])

    async def _create_edition(self, app: ValidApp, holdings: Holdings) -> Problem | None:
        digest = template_hash(raw_template(app))
        seen = (app.uid, f"{app.generation}/{digest}")
        if (known := self._refused.get(*seen)) is not None:
            return known
        clash = pool_conflict(app)
        if clash is not None:
            return clash
        body = new_edition(app, digest)
        if (wrong := await self._wrong_with(app, body)) is not None:
            return self._refused.add(*seen, wrong)
        if self._moved_on(app):
            return None  # the check may have taken long
        try:
            there = await self.api.create(paths.editions(app.namespace), body)
        except Conflict:  # an operator before this one made it, and the cache does not show it yet
            there = await self.api.get(paths.editions(app.namespace, body["metadata"]["name"]))
        except ApiError as error:
            return self._refused.add(*seen, _problem(error, f"the Edition {app.spec.edition}"))
        self.world.editions.store.own(there)
        if controller(there["metadata"]) == app.uid and there["spec"]["edition"] == app.spec.edition:
            holdings.editions[app.spec.edition] = there
        return _namesake(app, there)

    async def _wrong_with(self, app: ValidApp, edition: Raw) -> Problem | None:
        """What the API server finds wrong with the template, in a dry run of the edition's ReplicaSet.

        That asks nobody about pods: what policies, quotas and webhooks say of those comes with the real ones
        (`ReplicaFailure`). Nor does it have its owner yet, so of its refusals only those of the template count.
        """
        plain = replicaset_object(app, edition, serves=False, owned=False)
        try:
            await self.api.create(paths.replicasets(app.namespace), plain, dry_run=True)
        except Invalid as error:
            if error.status not in _TEMPLATES_FAULT:
                raise
            return Problem(reason=Reason.INVALID_TEMPLATE, message=f"spec.template: {_told(error)}")
        except (Conflict, Forbidden):
            pass
        except ApiError as error:
            return _problem(error, "the check of spec.template")
        return None

    def _moved_on(self, app: ValidApp) -> bool:
        newest = self.world.apps.store.items().get(app.key)
        return newest is None or number(newest["metadata"].get("generation")) != app.generation

    async def _create_set(
        self, app: ValidApp, edition: Raw, holdings: Holdings, *, serves: bool
    ) -> Problem | None:
        name = edition["spec"]["edition"]
        seen = (edition["metadata"]["uid"], f"set/{app.generation}")
        if (known := self._refused.get(*seen)) is not None:
            return known
        body = replicaset_object(app, edition, serves=serves)
        path = paths.replicasets(app.namespace, body["metadata"]["name"])
        try:
            there = await self.api.create(paths.replicasets(app.namespace), body)
        except Conflict:  # an operator before this one made it, and the cache does not show it yet
            there = await self.api.get(path)
        except ApiError as error:
            return self._refused.add(*seen, _problem(error, f"the ReplicaSet of edition {name}"))
        self.world.replicasets.store.own(there)
        kept = self.world.replicasets.store.items().get(f"{app.namespace}/{body['metadata']['name']}")
        if kept is not None and kept.owner_uid == edition["metadata"]["uid"]:
            holdings.sets[name] = kept
        return None


def _namesake(app: ValidApp, there: Raw) -> Problem | None:
    """The Edition of that name may be another app's (app a, edition b-c; app a-b, edition c), or another edition's."""
    spec = there["spec"]
    if (spec["app"], spec["edition"]) == (app.name, app.spec.edition):
        return None
    its = f"belongs to app {spec['app']!r}" if spec["app"] != app.name else f"is edition {spec['edition']!r}"
    return Problem(
        reason=Reason.EDITION_CONFLICT,
        message=f"spec.edition: an Edition {there['metadata']['name']!r} exists and {its}; "
        f"choose another name than {app.spec.edition!r}",
    )


def _conflict(app: ValidApp, holdings: Holdings) -> Problem | None:
    edition = holdings.editions.get(app.spec.edition)
    if edition is None or edition["spec"]["templateHash"] == template_hash(raw_template(app)):
        return None
    return Problem(
        reason=Reason.EDITION_CONFLICT,
        message=f"spec.edition: edition {app.spec.edition!r} exists with another template; "
        "give the new template a new edition name",
    )


def _without_set(record: ValidRecord) -> list[str]:
    needed = (record.app.spec.edition, record.active)
    bare = (name for name in record.editions if name not in record.sets)
    return [name for name in bare if name in needed or record.pods_of(name)]


def _oldest(record: ValidRecord) -> list[str]:
    """Of the retired editions, the newest ``historyLimit`` are kept for an undo: the others."""
    spec, states = record.app.spec, record.states.items()
    if len(record.editions) <= spec.history_limit:
        return []
    retired = [n for n, state in states if state == "Retired" and n != spec.edition]
    retired.sort(key=lambda n: str(record.editions[n]["metadata"].get("creationTimestamp")), reverse=True)
    return retired[spec.history_limit :]


def pool_conflict(app: ValidApp) -> Problem | None:
    """A node selector that contradicts the pool's: silently one of them would lose."""
    own = fields(fields(raw_template(app).get("spec")).get("nodeSelector"))
    for key, value in sorted(app.pool.node_selector.items()):
        if key in own and own[key] != value:
            pool = app.spec.pool
            text = (
                f"spec.template.spec.nodeSelector: {key} is {own[key]!r}, but the nodes of pool {pool!r} have "
                f"{value!r}: leave it out, or name another pool in spec.pool"
            )
            return Problem(reason=Reason.POOL_SELECTOR_CONFLICT, message=text)
    return None


def _problem(error: ApiError, what: str) -> Problem:
    """Of something that was refused; raises what is no refusal, and is better tried again at once."""
    if not isinstance(error, (Invalid, Forbidden)) and _WEBHOOK not in error.message:
        raise error
    found = refusals.refusal(said(error))
    return Problem(reason=found.reason, message=f"{what} is refused: {found.message}")


def _told(error: ApiError) -> str:
    """With what would be right, where the rule is known."""
    found = refusals.refusal(said(error))
    return str(error) if found.reason is Reason.PODS_REFUSED else found.message


def said(error: ApiError) -> str:
    """Without the request that it was said to."""
    return error.message.partition(": ")[2] or error.message


def raw_template(app: ValidApp) -> Raw:
    """The pod template exactly as it was applied."""
    template: Raw = app.raw["spec"]["template"]
    return template


def new_edition(app: ValidApp, digest: str) -> Raw:
    return {
        "apiVersion": API_VERSION,
        "kind": "Edition",
        "metadata": {
            "name": edition_object(app.name, app.spec.edition),
            "namespace": app.namespace,
            "labels": {LABEL_APP: app.name, LABEL_EDITION: app.spec.edition},
            "annotations": submission(app.raw),
            "ownerReferences": [_owner(API_VERSION, "ElasticApp", app.name, app.uid)],
        },
        "spec": {
            "app": app.name,
            "edition": app.spec.edition,
            "template": raw_template(app),
            "templateHash": digest,
        },
    }


def replicaset_object(app: ValidApp, edition: Raw, *, serves: bool, owned: bool = True) -> Raw:
    """``owned`` False: to ask whether it would be taken, before its owner exists."""
    name = edition["metadata"]["name"]
    owners = [_owner(API_VERSION, "Edition", name, edition["metadata"]["uid"])] if owned else []
    labels = {LABEL_APP: app.name, LABEL_EDITION: edition["spec"]["edition"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": app.namespace,
            "labels": labels,
            "ownerReferences": owners,
        },
        "spec": {
            "replicas": first_replicas(app.spec, edition, serves=serves),
            "selector": {"matchLabels": labels},
            "template": server_template(app, edition),
        },
    }


def first_replicas(spec: ElasticAppSpec, edition: Raw, *, serves: bool) -> int:
    """How many servers a new ReplicaSet orders: what the edition had before if the set was lost, else the floor.

    An edition that does not serve starts at none: its rollout decides.
    """
    had = max(0, number(fields(edition.get("status")).get("replicas")))
    if not serves:
        return had
    return max(had, spec.floor)


def _owner(api_version: str, kind: str, name: str, uid: str) -> Raw:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}
