"""Kubernetes Events: each says something once, none ever disturbs the cycle."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from millpond.clock import Clock, now_s
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ClusterError, Conflict
from millpond_policies.reasons import Reason

log = logging.getLogger(__name__)

SILENCE_S = 600.0  # the same thing is not said again for so long
_BURST = 25  # and at most so many at once,
_PER_S = 1.0  # then so many a second
_API_VERSIONS: Mapping[str, str] = {"Pod": "v1", "Node": "v1", "ReplicaSet": "apps/v1"}


class Type(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one object. ``dedupe``: two events with the same one say the same thing."""

    key: str  # namespace/name, or the name of a cluster-wide object
    uid: str
    kind: str  # ElasticApp, Edition, Pod …
    reason: Reason
    message: str
    type: Type = Type.NORMAL
    dedupe: tuple[object, ...] = ()


class Events:
    """Writes events in the background. `post` answers at once and never raises."""

    def __init__(self, api: Api, *, instance: str, clock: Clock = now_s) -> None:
        """``instance``: which operator process says it (reportingInstance)."""
        self._api = api
        self._instance = instance
        self._clock = clock
        self._said: dict[tuple[object, ...], float] = {}
        self._tokens = float(_BURST)
        self._refilled_s = clock()
        self._queue: asyncio.Queue[Object] = asyncio.Queue(maxsize=200)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="events")

    async def stop(self) -> None:
        """Give what is queued a moment to be written, then end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), 2)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def post(self, event: Event) -> bool:
        """True when the event will be written; False: it was said lately, or too much is being said."""
        at_s = self._clock()
        self._said = {k: t for k, t in self._said.items() if 0 <= at_s - t < SILENCE_S}
        what = (event.uid, event.reason, event.dedupe)
        if what in self._said or self._queue.full() or not self._take_token(at_s):
            return False
        self._said[what] = at_s
        self._queue.put_nowait(self._body(event, at_s))
        return True

    def _take_token(self, at_s: float) -> bool:
        self._tokens = min(_BURST, self._tokens + max(0.0, at_s - self._refilled_s) * _PER_S)
        self._refilled_s = at_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _body(self, event: Event, at_s: float) -> Object:
        namespace, _, name = event.key.rpartition("/")
        regarding = {
            "apiVersion": _API_VERSIONS.get(event.kind, "millpond.dev/v1alpha1"),
            "kind": event.kind,
            "name": name,
            "uid": event.uid,
        }
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": _name(event, name, at_s), "namespace": namespace or "default"},
            "eventTime": datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": "millpond.dev/operator",
            "reportingInstance": self._instance[:128],
            "action": event.reason.value,
            "reason": event.reason.value,
            "regarding": regarding | ({"namespace": namespace} if namespace else {}),
            "note": event.message[:1024],
            "type": event.type.value,
        }

    async def _run(self) -> None:
        while True:
            body = await self._queue.get()
            try:
                await self._api.create(paths.events(body["metadata"]["namespace"]), body)
            except Conflict:
                pass  # said before this process started
            except ClusterError as error:
                log.warning("event %s is lost: %s", body["metadata"]["name"], error)
            finally:
                self._queue.task_done()


def _name(event: Event, name: str, at_s: float) -> str:
    """The same for the same thing within a period, so that a restarted operator does not repeat itself."""
    period = int(at_s // SILENCE_S)
    what = repr((event.uid, event.reason.value, event.dedupe, period)).encode()
    return f"{name[:200]}.{hashlib.sha256(what).hexdigest()[:16]}"
