"""Writes status: only what changed, one merge patch an object."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from millpond.control.guard.faults import Fault
from millpond.control.learn.knowledge import EditionKnowledge, Knowledge
from millpond.control.observe.world import World
from millpond.control.outcome import Outcome
from millpond.control.report.conditions import bounded, with_fault
from millpond.control.report.status import status
from millpond.control.resolve.candidates import Candidate, Problem
from millpond.control.resolve.record import Record
from millpond.kube import paths
from millpond.kube.client import Api
from millpond_policies.learn.learning import Memory
from millpond_policies.reasons import Reason
from millpond_policies.world.nodes import Pool

Raw = Mapping[str, Any]
log = logging.getLogger(__name__)
ASK_AGAIN_S = 300.0  # whether custom resources have become newer


def _nothing(_: Raw) -> None:
    pass


def _remember(known: EditionKnowledge, written: Memory, _: Raw) -> None:
    known.written = written


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A merge patch of a status, and who is told of the object that came of it."""

    path: str
    body: dict[str, Any]
    own: Callable[[dict[str, Any]], None]
    done: Callable[[Raw], None] = _nothing


@dataclass(slots=True)
class Writer:
    api: Api
    world: World
    pools: bool = (
        True  # whether the status of pools is ours: it counts all apps, also those that others see to
    )
    _unkept: dict[str, float] = field(default_factory=dict)
    """Fields of an app's status that the API server drops, and since when: its custom resources are older."""

    def app(
        self,
        record: Record,
        outcome: Outcome,
        trouble: str | None,
    ) -> list[Write]:
        """The app's own status. ``trouble``: why Prometheus does not tell its response time. How far a rollout is, is
        written when it is decided."""
        app, key, now_s = record.app, record.key, outcome.at_s
        rejected = outcome.published.rejected.get(key)
        if record.problem is None and rejected is not None:
            text = f"the routers refuse its routes: {rejected}"
            record = replace(record, problem=Problem(reason=Reason.ROUTER_REJECTED, message=text))
        self._unkept = {name: s for name, s in self._unkept.items() if 0 <= now_s - s < ASK_AGAIN_S}
        view, fault = outcome.apps.get(key), outcome.faults.get(key)
        made = status(record, view, outcome.true_of(key), now_s, trouble, fault)
        after = {name: value for name, value in made.items() if name not in self._unkept}
        if after == {name: value for name, value in app.status.items() if name != "rollout"}:
            return []
        return [replace(self._of_app(app, after), done=lambda kept: self._note_unkept(after, kept, now_s))]

    def _note_unkept(self, written: Raw, kept: Raw, now_s: float) -> None:
        """So that what is dropped is not written again and again."""
        dropped = sorted(written.keys() - (kept.get("status") or {}).keys() - self._unkept.keys())
        if dropped:
            fields = ", ".join(f"status.{name}" for name in dropped)
            log.warning("the API server drops %s of apps: apply the custom resources of this version", fields)
        self._unkept |= dict.fromkeys(dropped, now_s)

    def fault(self, app: Candidate, fault: Fault | None, now_s: float) -> list[Write]:
        """Of an app that failed: the condition alone, so that what failed is not touched again."""
        before = app.status.get("conditions")
        after = with_fault(bounded(before), app.generation, fault, now_s)
        return [] if after == before else [self._of_app(app, {"conditions": after})]

    def _of_app(self, app: Candidate, after: Raw) -> Write:
        path = paths.elasticapps(app.namespace, app.name, "status")
        return Write(path=path, body={"status": after}, own=self.world.apps.store.own)

    def editions(self, record: Record, knowledge: Knowledge) -> Iterator[Write]:
        """State, replicas and what was learned: the last only when it moved enough to be worth a write."""
        app = record.app
        if app.spec is None:
            return
        for name, raw in record.editions.items():
            before = raw.get("status") or {}
            known = knowledge.of(app.key, name, raw)
            moved = known.memory.moved(known.written)
            owned = record.sets.get(name)
            after = {
                **before,
                "state": record.states[name],
                "replicas": owned.replicas if owned else before.get("replicas", 0),
                "learned": known.memory.to_dict() if moved else before.get("learned", {}),
            }
            if after != before:
                path = paths.editions(app.namespace, raw["metadata"]["name"], "status")
                done = partial(_remember, known, known.memory) if moved else _nothing
                body = _replacing(before, after)
                yield Write(path=path, body=body, own=self.world.editions.store.own, done=done)

    async def carry_out(self, write: Write) -> None:
        written = await self.api.patch(write.path, write.body, kind="merge")
        write.own(written)
        write.done(written)

    async def write_pools(self, records: Iterable[Record]) -> None:
        """How many nodes, apps and servers each pool has."""
        if not self.pools:
            return
        records, pools = tuple(records), self.world.pools.store.items()
        nodes = [n for n in self.world.nodes.store.items().values() if n.ready and not n.cordoned]
        for name, raw in pools.items():
            users = [record for record in records if record.app.spec and record.app.spec.pool == name]
            selector = raw["spec"].get("nodeSelector") or {}
            after = {
                "nodes": sum(map(Pool(name=name, selector=selector).has, nodes)),
                "apps": len(users),
                "servers": sum(not p.finished for record in users for p in record.pods),
            }
            if after != {k: (raw.get("status") or {}).get(k) for k in after}:
                path = paths.dynamicpools(name, "status")
                self.world.pools.store.own(await self.api.patch(path, {"status": after}, kind="merge"))


def _replacing(before: Raw, after: Raw) -> dict[str, Any]:
    """A merge patch in which learned values that are no longer there are taken out."""
    gone = {k: None for k in before.get("learned") or {} if k not in after["learned"]}
    return {"status": {**after, "learned": {**after["learned"], **gone}}}
