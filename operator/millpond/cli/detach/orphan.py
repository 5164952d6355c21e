"""Letting an app's servers go on without Millpond, so that removing the rest takes nothing away from them.

The order is what makes it repeatable after a crash anywhere: new servers need no gate any more -> servers that were
about to go are ordered away -> every gate that is left is open -> ReplicaSets have no owner -> Editions are deleted,
then the app, both without what they own. Only while no operator acts.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from millpond.api.names import GATE, LABEL_APP, LABEL_EDITION, edition_object
from millpond.cli.detach.plain import (
    DETACHED_ANNOTATION,
    foreign_finalizers,
    foreign_owners,
    loosened,
    note,
    replicas_without,
    service,
)
from millpond.clock import now_s, rfc3339, steady_s
from millpond.control.observe import objects
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.errors import Conflict, NotFound, Unavailable

Raw = dict[str, Any]
_LOOK_S, _ATTEMPTS, _OVERTAKEN_S = 0.3, 20, 10.0


@dataclass(slots=True)
class Detach:
    """``say`` is told in a line each what was done; ``deadline_s``: how long Kubernetes may take for one step."""

    api: Api
    say: Callable[[str], None]
    deadline_s: float = 120.0

    async def app(self, app: Raw) -> None:
        """Detach one app. Raises Unavailable when Kubernetes' controllers do not follow."""
        namespace, name = app["metadata"]["namespace"], app["metadata"]["name"]
        editions = await self._editions(app)
        sets = await self._sets(app, editions)
        for owned in sets:
            await self._loosen(app, owned)
        for owned in sets:
            await self._open_gates(owned)
        for owned in sets:
            await self._free(owned)
        for edition in editions:
            await self._forget(paths.editions(namespace, edition["metadata"]["name"]), edition)
        await self._remove_empty(sets)
        await self._forget(paths.elasticapps(namespace, name), app)
        self.say(f"{namespace}/{name}: detached")

    async def services(self, namespace: str, planned: Sequence[Raw] = ()) -> list[Raw]:
        """What reaches the servers of the detached apps of a namespace, and of those that are planned."""
        sets: dict[str, list[Raw]] = {}
        for found in (await self.api.list(paths.replicasets(namespace), LABEL_APP)).objects:
            if DETACHED_ANNOTATION in found["metadata"].get("annotations", {}):
                sets.setdefault(found["metadata"]["labels"][LABEL_APP], []).append(found)
        for app in (a for a in planned if a["metadata"]["namespace"] == namespace):
            its = sets[app["metadata"]["name"]] = await self._sets(app, await self._editions(app))
            for owned in its:
                owned["metadata"].setdefault("annotations", {})[DETACHED_ANNOTATION] = note(app)
        listed = (await self.api.list(paths.services(namespace))).objects
        taken = {s["metadata"]["name"]: s["spec"].get("selector", {}) for s in listed}
        return [made for name in sorted(sets) if (made := service(sets[name], taken)) is not None]

    async def draining(self, app: Raw) -> list[str]:
        """Its servers that are about to go."""
        found = []
        for owned in await self._sets(app, await self._editions(app)):
            pods = await self._living(owned)
            found += [p["metadata"]["name"] for p in pods if objects.pod(p).retire is not None]
        return found

    async def _editions(self, app: Raw) -> list[Raw]:
        meta = app["metadata"]
        listed = (
            await self.api.list(paths.editions(meta["namespace"]), f"{LABEL_APP}={meta['name']}")
        ).objects
        return [e for e in listed if _controller(e) in (meta["uid"], None)]

    async def _sets(self, app: Raw, editions: Sequence[Raw]) -> list[Raw]:
        """Those of its Editions, and those that a detach before this one has freed."""
        meta, uids = app["metadata"], {e["metadata"]["uid"] for e in editions}
        path = paths.replicasets(meta["namespace"])
        listed = (await self.api.list(path, f"{LABEL_APP}={meta['name']}")).objects
        return [s for s in listed if _controller(s) in uids or (_controller(s) is None and _named(s))]

    async def _living(self, owned: Raw) -> list[Raw]:
        meta = owned["metadata"]
        selector = ",".join(f"{k}={v}" for k, v in owned["spec"]["selector"]["matchLabels"].items())
        pods = (await self.api.list(paths.pods(meta["namespace"]), selector)).objects
        return [p for p in pods if _controller(p) == meta["uid"] and not _gone(p)]

    async def _loosen(self, app: Raw, owned: Raw) -> None:
        """New servers need no gate, and those that were about to go are not ordered any more, in one write."""
        path = _path_of(owned)
        for _ in range(_ATTEMPTS):
            living = await self._living(owned)
            leaving = sum(objects.pod(p).retire is not None for p in living)
            replicas = replicas_without(owned["spec"]["replicas"], len(living), leaving)
            patch = loosened(owned, replicas, note(app))
            if patch is None:
                return
            try:
                await self.api.patch(path, patch)
                return
            except Conflict:  # its status has changed meanwhile, no doubt
                owned = await self.api.get(path)
        raise Unavailable(f"ReplicaSet {_key(owned)} changes all the time: try again")

    async def _open_gates(self, owned: Raw) -> None:
        """Until every server that stays is Ready as soon as its containers are."""
        path, since_s = _path_of(owned), steady_s()
        while True:
            owned = await self.api.get(path)
            living = await self._living(owned)
            await self._end_overtaken(owned, living, steady_s() - since_s)
            closed = [p for p in living if _closed(p)]
            for pod in closed:
                await self._open(pod)
            seen = owned.get("status", {}).get("observedGeneration", 0) >= owned["metadata"]["generation"]
            if not closed and seen and not any(_leaving(p) for p in living):
                return
            if steady_s() - since_s > self.deadline_s:
                raise Unavailable(
                    f"ReplicaSet {_key(owned)} does not settle: is its controller running? Try again"
                )
            await asyncio.sleep(_LOOK_S)

    async def _end_overtaken(self, owned: Raw, living: Sequence[Raw], waited_s: float) -> None:
        """A starting server was removed in place of one that was to go: this one goes, too, and is replaced."""
        if waited_s < _OVERTAKEN_S or len(living) > owned["spec"]["replicas"]:
            return
        for pod in filter(_leaving, living):
            meta = pod["metadata"]
            with contextlib.suppress(NotFound, Conflict):
                await self.api.delete(paths.pods(meta["namespace"], meta["name"]), uid=meta["uid"])

    async def _open(self, pod: Raw) -> None:
        condition = {
            "type": GATE,
            "status": "True",
            "lastTransitionTime": rfc3339(now_s()),
            "reason": "Detached",
            "message": "Millpond does not see to this server any more",
        }
        meta = pod["metadata"]
        body = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [condition]}}
        with contextlib.suppress(NotFound, Conflict):
            await self.api.patch(
                paths.pods(meta["namespace"], meta["name"], "status"), body, kind="strategic"
            )

    async def _free(self, obj: Raw, path: str = "") -> None:
        """Without owners and finalizers of ours: nothing is deleted with them, and nothing waits for us."""
        obj = await self.api.get(path or _path_of(obj))
        meta = obj["metadata"]
        owners, finalizers = foreign_owners(meta), foreign_finalizers(meta)
        if len(owners) == len(meta.get("ownerReferences") or ()) and len(finalizers) == len(
            meta.get("finalizers") or ()
        ):
            return
        kept = {"ownerReferences": owners or None, "finalizers": finalizers or None}
        await self.api.patch(path or _path_of(obj), {"metadata": {"uid": meta["uid"], **kept}})

    async def _forget(self, path: str, obj: Raw) -> None:
        """Delete it and nothing that it owns; returns once it is gone."""
        until_s = steady_s() + self.deadline_s
        with contextlib.suppress(NotFound):
            await self._free(obj, path)
            await self.api.delete(path, uid=obj["metadata"]["uid"], propagation="Orphan")
            while (await self.api.get(path))["metadata"]["uid"] == obj["metadata"]["uid"]:
                if steady_s() > until_s:
                    raise Unavailable(
                        f"{path} is deleted but does not go: is the garbage collector running? Try again"
                    )
                await asyncio.sleep(_LOOK_S)

    async def _remove_empty(self, sets: Sequence[Raw]) -> None:
        """ReplicaSets of retired editions have no servers, and would only be in the way; the last one stays."""
        now = [await self.api.get(_path_of(owned)) for owned in sets]
        empty = [s for s in now if not s["spec"]["replicas"] and not s.get("status", {}).get("replicas")]
        for owned in empty if len(empty) < len(now) else ():
            with contextlib.suppress(NotFound, Conflict):
                await self.api.delete(_path_of(owned), uid=owned["metadata"]["uid"])


def _controller(obj: Raw) -> str | None:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(o["uid"]) for o in owners if o.get("controller")), None)


def _named(owned: Raw) -> bool:
    """A ReplicaSet without an owner that has the name and the labels that Millpond gave it."""
    labels = owned["metadata"]["labels"]
    return bool(owned["metadata"]["name"] == edition_object(labels[LABEL_APP], labels.get(LABEL_EDITION, "")))


def _path_of(owned: Raw) -> str:
    return paths.replicasets(owned["metadata"]["namespace"], owned["metadata"]["name"])


def _key(obj: Raw) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _gone(pod: Raw) -> bool:
    return "deletionTimestamp" in pod["metadata"] or objects.pod(pod).finished


def _leaving(pod: Raw) -> bool:
    return objects.pod(pod).retire is not None


def _closed(pod: Raw) -> bool:
    gates = pod["spec"].get("readinessGates") or ()
    gated = any(gate["conditionType"] == GATE for gate in gates)
    return gated and not _leaving(pod) and not objects.pod(pod).gate
