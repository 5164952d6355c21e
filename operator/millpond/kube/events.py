"""Kubernetes Events: each says something once, none ever disturbs the cycle.

Each namespace has its own allowance and queue: one that is noisy, or whose webhooks hang, silences itself alone.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from millpond.clock import Clock, now_s
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Conflict
from millpond_policies.reasons import Reason

log = logging.getLogger(__name__)

SILENCE_S = 600.0  # the same thing is not said again for so long
_OWN = (25.0, 1.0)  # and of one namespace at most so many at once, then so many a second;
_ALL = (250.0, 25.0)  # of all together
_QUEUED = 50  # of one namespace
_AT_ONCE = 8
_COMPLAINT_S = 60.0
_PATIENCE_S = 3.0  # an event that takes longer is not worth the room that others need
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
        self._pruned_s = clock()
        self._all = _Allowance(*_ALL, clock())
        self._own: dict[str, _Allowance] = {}
        self._queues: dict[str, deque[Object]] = {}
        self._writing: set[str] = set()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._complained_s: dict[str, float] = {}
        self._started = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._started = True
        for namespace in self._queues:
            self._serve(namespace)

    async def stop(self) -> None:
        """Give what is queued a moment to be written, then end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def post(self, event: Event) -> bool:
        """True when the event will be written; False: it was said lately, or too much is being said."""
        at_s, namespace = self._clock(), event.key.rpartition("/")[0]
        self._prune(at_s)
        what = (event.uid, event.reason, event.dedupe)
        lately = what in self._said and 0 <= at_s - self._said[what] < SILENCE_S
        queue = self._queues.setdefault(namespace, deque())
        if lately or len(queue) >= _QUEUED or not self._allowed(namespace, at_s):
            return False
        self._said[what] = at_s
        queue.append(self._body(event, at_s))
        if self._started:
            self._serve(namespace)
        return True

    def _prune(self, at_s: float) -> None:
        """Forget what may be said again, and namespaces of which nothing was said for long."""
        if 0 <= at_s - self._pruned_s < SILENCE_S / 10:
            return
        self._pruned_s = at_s
        self._said = {k: t for k, t in self._said.items() if 0 <= at_s - t < SILENCE_S}
        self._own = {n: own for n, own in self._own.items() if 0 <= at_s - own.at_s < SILENCE_S}
        self._complained_s = {n: s for n, s in self._complained_s.items() if 0 <= at_s - s < _COMPLAINT_S}
        self._queues = {n: q for n, q in self._queues.items() if q or n in self._writing}

    def _allowed(self, namespace: str, at_s: float) -> bool:
        own = self._own.setdefault(namespace, _Allowance(*_OWN, at_s))
        return own.take(at_s) and self._all.take(at_s)

    def _serve(self, namespace: str) -> None:
        if namespace in self._writing:
            return
        self._writing.add(namespace)
        task = asyncio.create_task(self._write(namespace), name=f"events {namespace}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, namespace: str) -> None:
        queue = self._queues[namespace]
        try:
            while queue:
                async with self._room:
                    await self._create(queue.popleft())
        finally:
            self._writing.discard(namespace)

    async def _create(self, body: Object) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._api.create(paths.events(body["metadata"]["namespace"]), body)
        except Conflict:
            pass  # said before this process started
        except (ApiError, TimeoutError) as error:
            self._complain(body["metadata"]["namespace"], error)

    def _complain(self, namespace: str, error: Exception) -> None:
        """Once a minute for each namespace."""
        at_s = self._clock()
        if not 0 <= at_s - self._complained_s.get(namespace, -_COMPLAINT_S) < _COMPLAINT_S:
            self._complained_s[namespace] = at_s
            log.warning("events of %s are lost: %.200s", namespace, error or "no answer")

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


class _Allowance:
    """A bucket of tokens: ``burst`` at once, ``per_s`` more each second."""

    def __init__(self, burst: float, per_s: float, at_s: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._tokens, self.at_s = burst, at_s

    def take(self, at_s: float) -> bool:
        self._tokens = min(self._burst, self._tokens + max(0.0, at_s - self.at_s) * self._per_s)
        self.at_s = at_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _name(event: Event, name: str, at_s: float) -> str:
    """The same for the same thing within a period, so that a restarted operator does not repeat itself."""
    period = int(at_s // SILENCE_S)
    what = repr((event.uid, event.reason.value, event.dedupe, period)).encode()
    return f"{name[:200]}.{hashlib.sha256(what).hexdigest()[:16]}"
