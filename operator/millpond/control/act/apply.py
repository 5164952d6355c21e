"""From verdicts to API calls: the only way out. Every write is idempotent, and destructive ones need the Lease."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from millpond.api.kinds.elasticapp import Drain
from millpond.control.drain import retire
from millpond.control.observe.access import Access
from millpond.control.observe.objects import DECISION_ANNOTATION, Pod
from millpond.control.report.appevents import event
from millpond.control.report.decisions import entry
from millpond.control.resolve import rollouts
from millpond.control.resolve.record import Record, ValidRecord
from millpond.kube import paths
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import (
    Because,
    CancelRetire,
    CancelStarting,
    Grow,
    Hold,
    Retire,
    Steer,
    Verdict,
)


@dataclass(slots=True)
class Hands(Access):
    """What writes to the cluster on behalf of a verdict."""

    def able(self, verdict: Verdict) -> bool:
        """Whether the verdict may be carried out now; what may not be is not recorded either: it is not done."""
        return isinstance(verdict, (Hold, Grow, CancelRetire)) or self.may_act()

    async def apply(self, verdict: Verdict, record: ValidRecord) -> bool:
        """Carry a verdict out; True when something was written."""
        match verdict:
            case Hold():
                return False
            case Grow():
                return await self._order(verdict, record, Reason.SCALED_OUT)
            case CancelStarting():
                return self.may_act() and await self._order(verdict, record, Reason.SCALED_IN)
            case Retire():
                return self.may_act() and await self._retire(verdict, record)
            case CancelRetire():
                return await self._cancel(verdict, record)
            case Steer():
                return self.may_act() and await self._steer(verdict, record)
            case _:
                assert_never(verdict)

    async def _order(self, verdict: Grow | CancelStarting, record: ValidRecord, reason: Reason) -> bool:
        """Set replicas, which still count the servers that drain."""
        owned = record.sets.get(verdict.edition)
        if owned is None:
            return False
        if verdict.to == owned.replicas:
            return False
        body = {
            "metadata": {
                "uid": owned.uid,
                "resourceVersion": owned.resource_version,
                "annotations": {DECISION_ANNOTATION: self._why(verdict)},
            },
            "spec": {"replicas": verdict.to},
        }
        path = paths.replicasets(owned.namespace, owned.name)
        self.world.replicasets.store.own(await self.api.patch(path, body, kind="merge"))
        text = (
            f"edition {verdict.edition}: {owned.replicas} -> {verdict.to} servers: {explain(verdict.because)}"
        )
        self.events.post(event(record.app, reason, text, (verdict.edition, owned.resource_version)))
        return True

    async def _retire(self, verdict: Retire, record: ValidRecord) -> bool:
        pod = _pod(record, verdict.uid)
        if pod is None or pod.retire is not None or pod.deleting:
            return False
        drain = record.app.spec.drain
        await retire.begin(
            self.api,
            self.world,
            pod,
            self._newest(record.pods_of(pod.edition)),  # with the victims that were named a moment ago
            reason=verdict.because.reason,
            drain=drain,
            clock=self.clock,
            decision=self._why(verdict),
        )
        text = f"server {pod.name} drains for at most {_at_most(drain)}: {explain(verdict.because)}"
        self.events.post(event(record.app, Reason.RETIRE_STARTED, text, (pod.uid,)))
        return True

    def _newest(self, pods: Iterable[Pod]) -> list[Pod]:
        known = self.world.pods.store.items()
        return [known.get(p.key, p) for p in pods]

    async def _cancel(self, verdict: CancelRetire, record: ValidRecord) -> bool:
        pod = _pod(record, verdict.uid)
        owned = record.sets.get(verdict.edition)
        if pod is None or owned is None or pod.retire is None or pod.deleting:
            return False
        if owned.victim_uid == pod.uid:
            return False  # its removal is ordered: too late
        await retire.cancel(self.api, self.world, pod, self._why(verdict))
        text = f"server {pod.name} serves again: {explain(verdict.because)}"
        self.events.post(event(record.app, Reason.RETIRE_CANCELLED, text, (pod.uid, self.clock())))
        return True

    async def _steer(self, verdict: Steer, record: ValidRecord) -> bool:
        """Remember how far the rollout is; the next publication follows it."""
        app, to = record.app, verdict.to
        how = rollouts.way(app, record.held, record.active, self.clock())
        body = {"status": {"rollout": rollouts.dump(to, how, app)}}
        path = paths.elasticapps(app.namespace, app.name, "status")
        self.world.apps.store.own(await self.api.patch(path, body, kind="merge"))
        news = rollouts.news(record.progress, to)
        if news is not None:
            text = f"{to.origin} -> {to.edition} ({to.strategy}): {to.message}"
            once = (to.edition, to.phase, to.step, to.started_s)
            self.events.post(event(app, news, text, once, warning=news is Reason.ROLLED_BACK))
        return True

    def _why(self, verdict: Verdict) -> str:
        """Travels in the same write, so that a crash right after it leaves no change unexplained."""
        return json.dumps(entry(verdict, self.clock()))


def _at_most(drain: Drain) -> str:
    longer = drain.stream_timeout_s > drain.timeout_s
    return f"{drain.timeout_s:g} s" + (f", {drain.stream_timeout_s:g} s with streams" if longer else "")


def explain(because: Because) -> str:
    """One line for people: the reason, the need, and the numbers behind it."""
    numbers = ", ".join(f"{k}={_short(v)}" for k, v in because.inputs if v is not None)
    limit = f", limited by {because.limited_by}" if because.limited_by else ""
    return f"{because.reason} (needed {because.needed}{limit}; {numbers})"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pod(record: Record, uid: str) -> Pod | None:
    return next((p for p in record.pods if p.uid == uid), None)
