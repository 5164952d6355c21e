"""From verdicts to API calls: the only way out. Every write is idempotent, and destructive ones need the Lease."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from millpond.clock import Clock
from millpond.kube import paths, retire
from millpond.kube.client import Api
from millpond.kube.decisions import entry
from millpond.kube.events import Event, Events, Type
from millpond.kube.objects import DECISION_ANNOTATION, Pod
from millpond.kube.resolve import Candidate
from millpond.kube.retire import Quiet, Step
from millpond.kube.world import Holdings, World
from millpond_policies.actions import Because, CancelRetire, CancelStarting, Grow, Hold, Retire, Verdict
from millpond_policies.reasons import Reason


@dataclass(slots=True)
class Hands:
    """What writes to the cluster on behalf of a verdict. ``may_act`` is asked right before each destructive write."""

    api: Api
    world: World
    events: Events
    clock: Clock
    may_act: Callable[[], bool]

    async def apply(self, verdict: Verdict, app: Candidate, holdings: Holdings) -> bool:
        """Carry a verdict out; True when something was written."""
        match verdict:
            case Hold():
                return False
            case Grow():
                return await self._order(verdict, app, holdings, Reason.SCALED_OUT)
            case CancelStarting():
                return self.may_act() and await self._order(verdict, app, holdings, Reason.SCALED_IN)
            case Retire():
                return self.may_act() and await self._retire(verdict, app, holdings)
            case CancelRetire():
                return await self._cancel(verdict, app, holdings)
            case _:
                assert_never(verdict)

    async def _order(
        self, verdict: Grow | CancelStarting, app: Candidate, holdings: Holdings, event: Reason
    ) -> bool:
        """Set replicas, which still count the servers that drain."""
        owned = holdings.sets.get(verdict.edition)
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
        self.events.post(_event(app, event, text, (verdict.edition, owned.resource_version)))
        return True

    async def _retire(self, verdict: Retire, app: Candidate, holdings: Holdings) -> bool:
        pod = _pod(holdings, verdict.uid)
        if pod is None or pod.retire is not None or pod.deleting:
            return False
        assert app.spec is not None
        timeout_s = app.spec.drain.timeout_s
        await retire.begin(
            self.api,
            self.world,
            pod,
            reason=verdict.because.reason,
            timeout_s=timeout_s,
            clock=self.clock,
            decision=self._why(verdict),
        )
        text = f"server {pod.name} drains for at most {timeout_s:g} s: {explain(verdict.because)}"
        self.events.post(_event(app, Reason.RETIRE_STARTED, text, (pod.uid,)))
        return True

    async def _cancel(self, verdict: CancelRetire, app: Candidate, holdings: Holdings) -> bool:
        pod = _pod(holdings, verdict.uid)
        owned = holdings.sets.get(verdict.edition)
        if pod is None or owned is None or pod.retire is None or pod.deleting:
            return False
        if owned.victim_uid == pod.uid:
            return False  # its removal is ordered: too late
        await retire.cancel(self.api, self.world, pod, self._why(verdict))
        text = f"server {pod.name} serves again: {explain(verdict.because)}"
        self.events.post(_event(app, Reason.RETIRE_CANCELLED, text, (pod.uid, self.clock())))
        return True

    def _why(self, verdict: Verdict) -> str:
        """Travels in the same write, so that a crash right after it leaves no change unexplained."""
        return json.dumps(entry(verdict, self.clock()))

    async def advance(
        self, pod: Pod, app: Candidate, holdings: Holdings, *, acknowledged: bool, quiet: Quiet
    ) -> Step | None:
        """Bring one retiring server a step further; returns what it waits for (None: nothing to do with it)."""
        owned = holdings.sets.get(pod.edition)
        if pod.retire is None or pod.deleting or owned is None:
            return None
        siblings = holdings.pods_of(pod.edition)
        other = retire.wrong_one_died(pod, owned, siblings)
        if other is not None:
            await retire.cancel(self.api, self.world, pod)
            text = f"server {other.name} was removed instead of {pod.name}, which serves on"
            self.events.post(_event(app, Reason.WRONG_SERVER_DIED, text, (pod.uid,), warning=True))
            return None
        now_s = self.clock()
        step = retire.next_step(
            pod, owned, siblings, acknowledged=acknowledged, quiet=quiet.is_quiet, now_s=now_s
        )
        if step is Step.REMOVE and self.may_act():
            await retire.remove(self.api, self.world, pod, owned)
            self._tell_removed(pod, app, quiet)
        return step

    def _tell_removed(self, pod: Pod, app: Candidate, quiet: Quiet) -> None:
        if quiet.is_quiet:
            text = f"server {pod.name} finished its requests and is removed"
            self.events.post(_event(app, Reason.SERVER_RETIRED, text, (pod.uid,)))
            return
        lost = "an unknown number of" if quiet.seen_busy is None else str(quiet.seen_busy)
        text = f"server {pod.name} is removed at its drain deadline with {lost} requests unfinished"
        self.events.post(_event(app, Reason.RETIRE_DEADLINE, text, (pod.uid,), warning=True))


def explain(because: Because) -> str:
    """One line for people: the reason, the need, and the numbers behind it."""
    numbers = ", ".join(f"{k}={_short(v)}" for k, v in because.inputs if v is not None)
    limit = f", limited by {because.limited_by}" if because.limited_by else ""
    return f"{because.reason} (needed {because.needed}{limit}; {numbers})"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pod(holdings: Holdings, uid: str) -> Pod | None:
    return next((p for p in holdings.pods if p.uid == uid), None)


def _event(
    app: Candidate, reason: Reason, message: str, dedupe: tuple[object, ...], *, warning: bool = False
) -> Event:
    return Event(
        key=app.key,
        uid=app.uid,
        kind="ElasticApp",
        reason=reason,
        message=message,
        type=Type.WARNING if warning else Type.NORMAL,
        dedupe=dedupe,
    )
