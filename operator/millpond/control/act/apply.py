"""From verdicts to API calls: the only way out. Every write is idempotent, and destructive ones need the Lease."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from millpond.api.elasticapp import Drain
from millpond.clock import Clock
from millpond.control.drain import retire
from millpond.control.drain.quiet import Quiet
from millpond.control.drain.retire import RetireStep
from millpond.control.observe.objects import DECISION_ANNOTATION, Pod, ReplicaSet
from millpond.control.observe.world import Holdings, World
from millpond.control.report.decisions import entry
from millpond.control.resolve import rollouts
from millpond.control.resolve.candidates import Candidate, ValidApp
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.events import Event, Events, Type
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

VOID_S = 5.0  # a removal that the ReplicaSet does not carry out for so long, although it has seen it, is void


def _nobody(app: str, requests: int, streams: int) -> None:
    pass


@dataclass(slots=True)
class Hands:
    """What writes to the cluster on behalf of a verdict. ``may_act`` is asked right before each destructive write."""

    api: Api
    world: World
    events: Events
    clock: Clock
    may_act: Callable[[], bool]
    on_cut: Callable[[str, int, int], None] = _nobody  # told of each app's unfinished requests and streams

    def able(self, verdict: Verdict) -> bool:
        """Whether the verdict may be carried out now; what may not be is not recorded either: it is not done."""
        return isinstance(verdict, (Hold, Grow, CancelRetire)) or self.may_act()

    async def apply(self, verdict: Verdict, app: ValidApp, holdings: Holdings) -> bool:
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
            case Steer():
                return self.may_act() and await self._steer(verdict, app, holdings)
            case _:
                assert_never(verdict)

    async def _order(
        self, verdict: Grow | CancelStarting, app: ValidApp, holdings: Holdings, event: Reason
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

    async def _retire(self, verdict: Retire, app: ValidApp, holdings: Holdings) -> bool:
        pod = _pod(holdings, verdict.uid)
        if pod is None or pod.retire is not None or pod.deleting:
            return False
        drain = app.spec.drain
        await retire.begin(
            self.api,
            self.world,
            pod,
            self._newest(holdings.pods_of(pod.edition)),  # with the victims that were named a moment ago
            reason=verdict.because.reason,
            drain=drain,
            clock=self.clock,
            decision=self._why(verdict),
        )
        text = f"server {pod.name} drains for at most {_at_most(drain)}: {explain(verdict.because)}"
        self.events.post(_event(app, Reason.RETIRE_STARTED, text, (pod.uid,)))
        return True

    def _newest(self, pods: Iterable[Pod]) -> list[Pod]:
        known = self.world.pods.store.items()
        return [known.get(p.key, p) for p in pods]

    async def _cancel(self, verdict: CancelRetire, app: ValidApp, holdings: Holdings) -> bool:
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

    async def _steer(self, verdict: Steer, app: ValidApp, holdings: Holdings) -> bool:
        """Remember how far the rollout is; the next publication follows it."""
        to, how = verdict.to, rollouts.way(app, holdings, self.clock())
        body = {"status": {"rollout": rollouts.dump(to, how, app.spec.rollout.emergency)}}
        path = paths.elasticapps(app.namespace, app.name, "status")
        self.world.apps.store.own(await self.api.patch(path, body, kind="merge"))
        news = rollouts.news(rollouts.progress(app), to)
        if news is not None:
            text = f"{to.origin} -> {to.edition} ({to.strategy}): {to.message}"
            once = (to.edition, to.phase, to.step, to.started_s)
            self.events.post(_event(app, news, text, once, warning=news is Reason.ROLLED_BACK))
        return True

    def _why(self, verdict: Verdict) -> str:
        """Travels in the same write, so that a crash right after it leaves no change unexplained."""
        return json.dumps(entry(verdict, self.clock()))

    async def advance(
        self,
        pod: Pod,
        app: Candidate,
        drain: Drain,
        holdings: Holdings,
        *,
        acknowledged: bool,
        quiet: Quiet | None,
    ) -> RetireStep | None:
        """Bring one retiring server a step further; returns what it waits for (None: nothing to do with it).

        ``quiet``: what was seen of it since every router acknowledged; None while they have not.
        """
        owned = holdings.sets.get(pod.edition)
        if pod.retire is None or pod.deleting or owned is None:
            return None
        siblings, now_s = holdings.pods_of(pod.edition), self.clock()
        if await self._revoked(pod, app, owned, siblings, quiet, now_s):
            return None
        sessions_s = drain.session_timeout_s
        busy = quiet.busy(pod.retire, sessions_s, now_s) if quiet else RetireStep.REQUESTS
        step = retire.next_step(
            pod, owned, siblings, acknowledged=acknowledged and quiet is not None, busy=busy, now_s=now_s
        )
        if step is RetireStep.REMOVE and quiet is not None and self.may_act():
            await retire.remove(self.api, self.world, pod, owned)
            self._tell_removed(pod, app, quiet, sessions_s, now_s)
        return step

    async def _revoked(
        self,
        pod: Pod,
        app: Candidate,
        owned: ReplicaSet,
        siblings: Iterable[Pod],
        quiet: Quiet | None,
        now_s: float,
    ) -> bool:
        """Let it serve again when its ordered removal took another one, or nobody because servers were ordered anew."""
        void = retire.order_is_void(pod, owned, siblings)
        other = retire.wrong_one_died(pod, owned, siblings)
        if quiet is not None:
            quiet.void_since_s = (quiet.void_since_s or now_s) if void else None
        lapsed = quiet is not None and quiet.void_since_s is not None and now_s - quiet.void_since_s > VOID_S
        if other is None and not lapsed:
            return False
        await retire.cancel(self.api, self.world, pod)
        what = f"server {other.name} was removed instead of" if other else "no server is removed any more for"
        self.events.post(
            _event(
                app, Reason.WRONG_SERVER_DIED, f"{what} {pod.name}, which serves on", (pod.uid,), warning=True
            )
        )
        return True

    def _tell_removed(
        self, pod: Pod, app: Candidate, quiet: Quiet, sessions_s: float | None, now_s: float
    ) -> None:
        left = quiet.left(sessions_s, now_s)
        if left is None:
            text = f"server {pod.name} finished its requests and is removed"
            self.events.post(_event(app, Reason.SERVER_RETIRED, text, (pod.uid,)))
            return
        if quiet.last is not None:
            self.on_cut(app.key, quiet.last.requests, quiet.last.streams)
        text = f"server {pod.name} is removed at its drain deadline with {left}"
        self.events.post(_event(app, Reason.RETIRE_DEADLINE, text, (pod.uid,), warning=True))


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
