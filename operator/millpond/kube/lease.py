"""One operator acts at a time: a Lease, and the certainty that we still hold it."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from millpond.api.names import ROUTERS_ANNOTATION
from millpond.clock import Clock, now_s, steady_s
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Conflict, NotFound

log = logging.getLogger(__name__)
_MARGIN = 0.8  # stop acting when this part of the duration is over: others take it at 1.0
_RENEWED, _TRIED = 1 / 3, 1 / 30  # parts of the duration between two looks of who leads, and of who waits
_LOOK_S = 0.05


class LeaderLease:
    """Acquires and renews a Lease in the background; writes nothing else.

    ``held()`` counts from the start of the last successful renewal, on a clock that nobody can set back, so a
    leader that was paused past its lease does not act on. A foreign holder's time is counted from when we saw
    it change, never from the time it wrote.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock = steady_s,
        duration_s: float = 15.0,
        *,
        wall_clock: Clock = now_s,
        note: Callable[[bool], str] | None = None,
    ) -> None:
        """``clock`` must be steady (`millpond.clock.steady_s`); ``wall_clock`` is what gets written down.

        ``note``: what a successor should know, written with each renewal, and for the last time (True) with the
        release.
        """
        self.identity = identity
        self._api = api
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._wall_clock = wall_clock
        self._note = note
        self.inherited = ""
        """What was noted by who had the lease before us."""
        self._duration_s = duration_s
        self._renewed_s: float | None = None
        self._observed: tuple[str, float] = ("", 0.0)  # a foreign holder's resourceVersion, and since when
        self._task: asyncio.Task[None] | None = None

    def held(self) -> bool:
        return self._renewed_s is not None and self._clock() - self._renewed_s < self._duration_s * _MARGIN

    async def until(self, *, held: bool) -> None:
        """Returns when it is held, or is not held any more."""
        while True:
            if self.held() is held:
                return
            await asyncio.sleep(_LOOK_S)  # time alone can end it

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="leader lease")

    async def stop(self) -> None:
        """Stop renewing, and release the lease so that a successor need not wait."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        was_held, self._renewed_s = self.held(), None
        if was_held:
            with contextlib.suppress(ApiError, TimeoutError):
                async with asyncio.timeout(3):
                    await self._release()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._duration_s / 2):
                    await self._acquire_or_renew()
            except (ApiError, TimeoutError) as error:
                log.warning("lease %s/%s: %s", self._namespace, self._name, error or "no answer in time")
            await asyncio.sleep(self._duration_s * (_RENEWED if self.held() else _TRIED))

    async def _acquire_or_renew(self) -> None:
        started_s = self._clock()
        try:
            lease = await self._api.get(paths.leases(self._namespace, self._name))
        except NotFound:
            lease = None
        if lease is not None and self._belongs_to_another(lease):
            self._renewed_s = None
            return
        with contextlib.suppress(Conflict):  # another one was faster: look again next time
            leads = self.held()
            await self._write(lease, self._annotations(False) if leads else {})
            if not leads and lease is not None:
                self.inherited = str((lease["metadata"].get("annotations") or {}).get(ROUTERS_ANNOTATION, ""))
            self._renewed_s = started_s

    def _belongs_to_another(self, lease: Object) -> bool:
        spec = lease["spec"]
        if spec.get("holderIdentity") in (None, "", self.identity):
            return False
        version = lease["metadata"]["resourceVersion"]
        if version != self._observed[0]:
            self._observed = (version, self._clock())
        return self._clock() - self._observed[1] < float(spec.get("leaseDurationSeconds") or self._duration_s)

    def _annotations(self, final: bool) -> dict[str, str]:
        return {} if self._note is None else {ROUTERS_ANNOTATION: self._note(final)}

    async def _write(self, lease: Object | None, annotations: dict[str, str]) -> None:
        if lease is None:
            body = _lease(self._name, None, self._spec(transitions=0, acquired=None), annotations)
            await self._api.create(paths.leases(self._namespace), body)
            return
        spec = lease["spec"]
        ours = spec.get("holderIdentity") == self.identity
        transitions = int(spec.get("leaseTransitions") or 0) + (0 if ours else 1)
        written = self._spec(transitions=transitions, acquired=spec.get("acquireTime") if ours else None)
        body = _lease(self._name, lease["metadata"]["resourceVersion"], written, annotations)
        await self._api.patch(paths.leases(self._namespace, self._name), body)

    async def _release(self) -> None:
        path = paths.leases(self._namespace, self._name)
        lease = await self._api.get(path)
        if lease["spec"].get("holderIdentity") == self.identity:
            spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._stamp()}
            version = lease["metadata"]["resourceVersion"]
            await self._api.patch(path, _lease(self._name, version, spec, self._annotations(True)))

    def _spec(self, *, transitions: int, acquired: str | None) -> dict[str, Any]:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": math.ceil(self._duration_s),
            "acquireTime": acquired or self._stamp(),
            "renewTime": self._stamp(),
            "leaseTransitions": transitions,
        }

    def _stamp(self) -> str:
        """Kubernetes' MicroTime."""
        return datetime.fromtimestamp(self._wall_clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(name: str, version: str | None, spec: dict[str, Any], annotations: dict[str, str]) -> Object:
    """``version`` makes the write fail with Conflict when somebody else wrote in between."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            **({"resourceVersion": version} if version else {}),
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": spec,
    }
