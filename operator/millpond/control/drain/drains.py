"""All servers that are being retired, each brought as far as it can get in this cycle."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.api.kinds.sla import Source
from millpond.control.drain import removal, retire
from millpond.control.drain.quiet import SAMPLES, Activity, Quiet
from millpond.control.drain.retire import RetireStep
from millpond.control.guard.each import Each
from millpond.control.learn.learner import Learner
from millpond.control.observe.access import Access
from millpond.control.observe.objects import Pod
from millpond.control.resolve.candidates import Candidate
from millpond.control.resolve.record import Record
from millpond.control.snapshot.apps import is_paused
from millpond.router.config import Endpoint
from millpond.router.xds.control import Published, RouterControl

ASK_S = 0.1  # so long a cycle waits for routers' answers; later ones are looked at in the next cycle
GAP_S = 0.05  # between two questions: what a router was just sending when it acknowledged shows by then


@dataclass(frozen=True, slots=True, kw_only=True)
class _Victim:
    record: Record
    spec: ElasticAppSpec  # by which it finishes what it has
    pod: Pod
    acknowledged: bool

    @property
    def app(self) -> Candidate:
        return self.record.app

    @property
    def endpoint(self) -> str:
        return Endpoint(address=self.pod.address or "", port=self.spec.port).authority

    @property
    def counted(self) -> bool:
        """Whether routers count its requests; nobody counts another proxy's: then a drain lasts until its deadline."""
        return self.spec.sla.source is Source.ROUTER


def _nothing() -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Drains:
    hands: Access
    routers: RouterControl
    learner: Learner
    on_answer: Callable[[], None] = _nothing  # told when routers have answered that no cycle waits for
    steps: dict[str, RetireStep] = field(default_factory=dict)  # pod UID -> what it waits for
    _quiet: dict[str, Quiet] = field(
        default_factory=dict
    )  # pod UID -> what was seen since the acknowledgement
    _asking: asyncio.Task[None] | None = None
    _prompt: bool = True  # whether the routers answered the last question at once

    async def advance(
        self,
        records: Mapping[str, Record],
        published: Published,
        now_s: float,
        each: Each,
    ) -> None:
        """Every app's victims by themselves; of an app with a write under way, none."""
        by_app = each.look("drain", records, lambda key: self._victims(records[key], published))
        victims = [victim for of_app in by_app.values() for victim in of_app]
        self._quiet = {v.pod.uid: found for v in victims if (found := self._watched(v)) is not None}
        self.steps = {}
        for victim in victims:
            with each.faults.guard(victim.app.key, "drain"):
                self._look(victim, now_s)
        await self._ask([v for v in victims if not is_paused(v.app, now_s)], each)

        async def advance(key: str) -> None:
            for victim in by_app[key]:
                if key in each.behind:
                    return  # what was seen is old by now
                with each.faults.guard(key, "drain"):
                    await self._advance(victim, now_s)

        await each.do("drain", {key: partial(advance, key) for key, of_app in by_app.items() if of_app})

    def _victims(self, record: Record, published: Published) -> list[_Victim]:
        spec = record.app.served
        if spec is None:
            return []
        acknowledged = record.key in published.routed and self._someone_answers(spec)
        going = (pod for pod in record.pods if pod.retire is not None and not pod.deleting)
        return [_Victim(record=record, spec=spec, pod=pod, acknowledged=acknowledged) for pod in going]

    def _someone_answers(self, spec: ElasticAppSpec) -> bool:
        """With no router known, nobody has acknowledged anything; unless another proxy serves this app."""
        if spec.sla.source is not Source.ROUTER:
            return True
        return any(router.maybe_serving for router in self.routers.routers())

    def _watched(self, victim: _Victim) -> Quiet | None:
        known = self._quiet.get(victim.pod.uid)
        if known is None and victim.acknowledged and victim.pod.gate is False:
            return Quiet(since_s=self.hands.clock())
        return known

    def _look(self, victim: _Victim, now_s: float) -> None:
        """What the routers report by themselves, every second."""
        quiet = self._quiet.get(victim.pod.uid)
        if quiet is None or not victim.counted:
            return
        load = self.learner.load(victim.pod, victim.spec.port, now_s)
        if load is not None:
            requests = load.in_flight - load.streams
            quiet.saw(Activity(at_s=load.at_s, requests=requests, streams=load.streams, total=load.total))

    async def _ask(self, victims: Collection[_Victim], each: Each) -> None:
        """One question at a time; a router that answers slowly is waited for once, and then beside the cycles."""
        if self._asking is None:
            if not any(self._is_worth_asking(v) for v in victims):
                return
            self._asking = asyncio.create_task(self._question(victims, each))
        await asyncio.wait((self._asking,), timeout=ASK_S if self._prompt else 0)

    async def _question(self, victims: Collection[_Victim], each: Each) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with each.faults.guard("", "ask"):
            await self._sample(victims)
        late, self._asking = loop.time() - began_s > ASK_S, None
        if late or not self._prompt:
            self.on_answer()
        self._prompt = not late

    async def _sample(self, victims: Collection[_Victim]) -> None:
        """Ask for fresh samples of those that may be finished, so that an idle server need not wait for reports."""
        for number in range(SAMPLES):
            asked = {v.endpoint: self._quiet[v.pod.uid] for v in victims if self._is_worth_asking(v)}
            if not asked:
                return
            if number:
                await asyncio.sleep(GAP_S)
            loads = await self.routers.ask(asked.keys())
            if loads is None:
                return  # a router that may serve does not answer
            for endpoint, quiet in asked.items():
                if (load := loads.get(endpoint)) is not None:
                    # its total counts from another moment than the reports' does
                    requests = load.active + load.pending
                    quiet.saw(Activity(at_s=load.at_s, requests=requests, streams=load.streams))

    def _is_worth_asking(self, victim: _Victim) -> bool:
        quiet = self._quiet.get(victim.pod.uid)
        if quiet is None or victim.pod.retire is None or not victim.acknowledged or not victim.counted:
            return False
        now_s, sessions_s = self.hands.clock(), victim.spec.drain.session_timeout_s
        busy = quiet.busy(victim.pod.retire, sessions_s, now_s)
        return busy in (RetireStep.REQUESTS, RetireStep.STREAMS) and quiet.promising(now_s)

    async def _advance(self, victim: _Victim, now_s: float) -> None:
        app, pod = victim.app, victim.pod
        owned = victim.record.sets.get(pod.edition)
        if is_paused(app, now_s):  # the admin's kill switch: what is not ordered to go, serves on
            if owned is not None and owned.victim_uid != pod.uid:
                await retire.cancel(self.hands.api, self.hands.world, pod)
            return
        quiet = self._quiet.get(pod.uid)
        step = await removal.advance(
            self.hands, pod, victim.record, victim.spec.drain, acknowledged=victim.acknowledged, quiet=quiet
        )
        if step is not None:
            self.steps[pod.uid] = step
