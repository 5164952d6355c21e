"""Events on pods, as a kubelet writes them; the same one about a pod at most once in ten minutes."""

import asyncio
import logging

from millpond.clock import Clock, rfc3339
from millpond.local.node.api import UNREACHABLE, Api, Json, StatusError

log = logging.getLogger(__name__)
_REPEAT_AFTER_S = 600
_LONGEST = 1000


class Events:
    """Writing never blocks or fails a caller: an event that cannot be written is dropped."""

    def __init__(self, api: Api, node: str, clock: Clock) -> None:
        self._api, self._node, self._clock = api, node, clock
        self._told_s: dict[tuple[str, str, str], float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def tell(self, pod: Json, reason: str, message: str) -> None:
        self._put(pod, "Normal", reason, message[:_LONGEST])

    def warn(self, pod: Json, reason: str, message: str) -> None:
        self._put(pod, "Warning", reason, message[:_LONGEST])

    def _put(self, pod: Json, kind: str, reason: str, message: str) -> None:
        now_s, key = self._clock(), (pod["metadata"]["uid"], reason, message)
        if now_s - self._told_s.get(key, 0.0) < _REPEAT_AFTER_S:
            return
        self._told_s = {k: at for k, at in self._told_s.items() if now_s - at < _REPEAT_AFTER_S}
        self._told_s[key] = now_s
        task = asyncio.create_task(self._write(pod["metadata"], kind, reason, message, now_s))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, meta: Json, kind: str, reason: str, message: str, now_s: float) -> None:
        at = rfc3339(now_s)
        body = {
            "metadata": {"generateName": f"{meta['name'][:50]}.", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "millpond-node", "host": self._node},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        try:
            await self._api.create(f"/api/v1/namespaces/{meta['namespace']}/events", body)
        except (StatusError, *UNREACHABLE) as e:
            log.debug("event %s dropped: %s", reason, e)
