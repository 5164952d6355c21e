"""A label on the pod of the operator that leads: by it the Service of the routers finds that pod and no other."""

import asyncio
import contextlib
import logging

from millpond.api.names import LABEL_LEADER
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.errors import ApiError, NotFound

log = logging.getLogger(__name__)
_PERIOD_S, _AGAIN_S = 10.0, 1.0


class LeaderLabel:
    """Keeps the label where it belongs. Who leads takes it from all others, too: they may be on a lost node."""

    def __init__(self, api: Api, namespace: str, pod: str | None) -> None:
        """``pod``: the name of our own; None: we are no pod, and there is nothing to label."""
        self._api, self._namespace, self._pod = api, namespace, pod
        self._leads = False
        self._changed = asyncio.Event()

    def tell(self, *, leads: bool) -> None:
        self._leads = leads
        self._changed.set()

    async def run(self) -> None:
        """For ever; in a calm cluster it only reads."""
        while self._pod is not None:
            self._changed.clear()
            pause_s = _PERIOD_S
            try:
                await self.tend(self._pod)
            except ApiError as error:
                log.warning("label %s: %s", LABEL_LEADER, error)
                pause_s = _AGAIN_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause_s)

    async def tend(self, own: str) -> None:
        """Put right what is wrong. Raises ApiError."""
        listed = await self._api.list(paths.pods(self._namespace), f"{LABEL_LEADER}=true")
        labelled = {pod["metadata"]["name"] for pod in listed.objects}
        if self._leads and own not in labelled:
            await self._label(own, "true")
        for name in sorted(labelled):
            if self._leads is (name != own):
                await self._label(name, None)

    async def _label(self, name: str, value: str | None) -> None:
        with contextlib.suppress(NotFound):
            patch = {"metadata": {"labels": {LABEL_LEADER: value}}}
            await self._api.patch(paths.pods(self._namespace, name), patch)
