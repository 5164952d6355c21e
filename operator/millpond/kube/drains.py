"""All servers that are being retired, each brought as far as it can get in this cycle."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from millpond.api.sla import Source
from millpond.kube import retire
from millpond.kube.apply import Hands
from millpond.kube.errors import ClusterError
from millpond.kube.learner import Learner
from millpond.kube.objects import Pod
from millpond.kube.observe import is_paused
from millpond.kube.resolve import Candidate
from millpond.kube.retire import Quiet, Step
from millpond.kube.world import Holdings
from millpond.router.control import Published, RouterControl

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Drains:
    hands: Hands
    routers: RouterControl
    learner: Learner
    steps: dict[str, Step] = field(default_factory=dict)  # pod UID -> what it waits for
    _quiet: dict[str, Quiet] = field(default_factory=dict)

    async def advance(
        self,
        candidates: Mapping[str, Candidate],
        holdings: Mapping[str, Holdings],
        published: Published,
        now_s: float,
    ) -> None:
        retiring = [
            (app, holdings[key], pod)
            for key, app in candidates.items()
            for pod in holdings[key].pods
            if pod.retire is not None and not pod.deleting and app.spec is not None
        ]
        self._quiet = {pod.uid: self._quiet.get(pod.uid, Quiet()) for _, _, pod in retiring}
        self.steps = {}
        for app, held, pod in retiring:
            try:
                await self._advance(app, held, pod, published, now_s)
            except ClusterError as error:
                log.warning("retiring %s: %s", pod.key, error)

    async def _advance(
        self, app: Candidate, held: Holdings, pod: Pod, published: Published, now_s: float
    ) -> None:
        owned = held.sets.get(pod.edition)
        if is_paused(app, now_s):  # the admin's kill switch: what is not ordered to go, serves on
            if owned is not None and owned.victim_uid != pod.uid:
                await retire.cancel(self.hands.api, self.hands.world, pod)
            return
        acknowledged = app.key in published.confirmed and self._someone_answers(app)
        if acknowledged and pod.gate is False:
            self._look(app, pod, now_s)
        step = await self.hands.advance(pod, app, held, acknowledged=acknowledged, quiet=self._quiet[pod.uid])
        if step is not None:
            self.steps[pod.uid] = step

    def _someone_answers(self, app: Candidate) -> bool:
        """With no router known, nobody has acknowledged anything; unless another proxy serves this app."""
        assert app.spec is not None
        if app.spec.sla.source is not Source.ROUTER:
            return True
        return any(router.maybe_serving for router in self.routers.routers())

    def _look(self, app: Candidate, pod: Pod, now_s: float) -> None:
        assert app.spec is not None
        if app.spec.sla.source is not Source.ROUTER:
            return  # nobody counts the other proxy's requests: the drain lasts until its deadline
        load = self.learner.load(pod, app.spec.port, now_s)
        if load is not None:
            self._quiet[pod.uid].saw(load.in_flight, load.at_s)
