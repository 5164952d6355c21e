"""One pod of this node, from admission to its deletion in the API."""

import asyncio
import logging
import shutil
from collections.abc import Coroutine
from typing import Any

from millpond.clock import from_rfc3339
from millpond.local.node.api import UNREACHABLE, Json, StatusError
from millpond.local.node.containers.container import ContainerRunner
from millpond.local.node.host import Host
from millpond.local.node.pods import podstatus, support
from millpond.local.node.pods.podview import PodView

log = logging.getLogger(__name__)
_RETRY_S = 1.0
_FORCED_GRACE_S = 1.0
_CONFLICT = 409


class PodRunner:
    """Feed it the newest object with ``update``; it keeps processes and status as that object wants.

    ``refused``: the node's reason not to run the pod at all, which fails it.
    """

    def __init__(self, view: PodView, host: Host, refused: podstatus.Verdict | None = None) -> None:
        self.view, self._host, self._verdict = view, host, refused
        status = view.json.get("status", {})
        self._final = status.get("phase") in podstatus.FINAL  # nothing left to run or to write
        self._began_s = from_rfc3339(status["startTime"]) if "startTime" in status else host.clock()
        view.home.mkdir(parents=True, exist_ok=True)
        self._dirty, self._writing = asyncio.Event(), asyncio.Lock()
        self.init = [] if refused else self._runners("initContainers")
        self.containers = [] if refused else self._runners("containers")
        self._published: Json | None = None
        self._living = _task(self._live())
        self._others = [_task(self._publish()), _task(self._expire())]
        self._deleting: asyncio.Task[None] | None = None
        self.update(view.json)

    @property
    def active(self) -> bool:
        """It counts against what the node has."""
        return not self._final and self._verdict is None

    def update(self, pod: Json) -> None:
        if _version(pod) < _version(self.view.json):
            return
        self.view.json = pod
        for runner, spec in zip(self.containers, pod["spec"]["containers"], strict=False):
            runner.spec = spec  # resources may change in place
        self._dirty.set()
        if self.view.deleting:
            self._delete_within(self.view.deletion_grace_s)

    async def gone(self) -> None:
        """The object is no more: end what still runs; returns when all is cleared."""
        self._delete_within(_FORCED_GRACE_S)
        assert self._deleting
        await self._deleting
        await self.leave()

    async def leave(self) -> None:
        """Stop following; processes go on."""
        tasks = [self._living, *self._others] + ([self._deleting] if self._deleting else [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- life ----------------------------------------------------------------------------------------------------

    def _runners(self, field: str) -> list[ContainerRunner]:
        specs = self.view.json["spec"].get(field, ())
        return [ContainerRunner(spec, self.view, self._host, self._dirty.set) for spec in specs]

    async def _live(self) -> None:
        if not self.active:
            return
        if reasons := support.refusals(self.view.json):
            self._block("; ".join(reasons))
            return
        if ignored := support.ignored(self.view.json):
            self._host.events.warn(self.view.json, "NotEnforced", ignored)
        policy = self.view.json["spec"]["restartPolicy"]
        for container in self.containers if self.init else ():
            container.await_init()
        for container in self.init:
            await container.run("OnFailure" if policy == "Always" else policy)
            if not container.state.ended or container.state.ended.exit_code:
                return
        async with asyncio.TaskGroup() as group:
            for container in self.containers:
                group.create_task(container.run(policy))

    def _block(self, why: str) -> None:
        """It stays Pending, so that its owner does not make one after the other."""
        for container in self.containers:
            container.state.wait("CreateContainerConfigError", why)
        self._host.events.warn(self.view.json, "Unsupported", why)
        self._dirty.set()

    async def _expire(self) -> None:
        limit_s = self.view.json["spec"].get("activeDeadlineSeconds")
        if limit_s is None or not self.active:
            return
        await asyncio.sleep(self._began_s + limit_s - self._host.clock())
        self._end_all(self.view.grace_s)
        await asyncio.wait([self._living])
        self._verdict = podstatus.Verdict(
            "DeadlineExceeded", "Pod was active on the node longer than the deadline"
        )
        self._dirty.set()

    def _end_all(self, grace_s: float) -> None:
        for container in (*self.init, *self.containers):
            container.end(grace_s)

    # ---- end -----------------------------------------------------------------------------------------------------

    def _delete_within(self, grace_s: float) -> None:
        """End all containers, then remove the object. Again with less grace: sooner."""
        self._end_all(grace_s)
        if self._deleting is None:
            self._host.events.tell(
                self.view.json, "Killing", f"Stopping containers, grace period {grace_s:g} s"
            )
            self._deleting = _task(self._delete())

    async def _delete(self) -> None:
        await asyncio.wait([self._living])
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.view.uid}}
        while True:
            if await self._write_status() and await self._call(
                self._host.api.delete(self.view.path, options)
            ):
                break
            await asyncio.sleep(_RETRY_S)
        shutil.rmtree(self.view.folder, ignore_errors=True)

    # ---- status --------------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            if not await self._write_status():
                await asyncio.sleep(_RETRY_S)
                self._dirty.set()

    async def _write_status(self) -> bool:
        """True when the API server has the newest status (or no longer this pod)."""
        async with self._writing:
            status = self._status()
            if self._final or status == self._published:
                return True
            body = {"metadata": {"uid": self.view.uid}, "status": status}
            if not await self._call(self._host.api.patch(f"{self.view.path}/status", body)):
                return False
            self._published, self._final = status, status["phase"] in podstatus.FINAL
            return True

    def _status(self) -> Json:
        return podstatus.build(
            self.view.json,
            [c.state for c in self.init],
            [c.state for c in self.containers],
            ip=self.view.ip,
            host_ip=self.view.host_ip,
            started_at_s=self._began_s,
            now_s=self._host.clock(),
            verdict=self._verdict,
        )

    async def _call(self, request: Coroutine[Any, Any, Json]) -> bool:
        """True when it is done, or pointless because this pod is no more."""
        try:
            answer = await request
        except StatusError as e:
            if e.gone or e.status == _CONFLICT:
                return True
            log.warning("pod %s/%s: %s", self.view.namespace, self.view.name, e)
            return False
        except UNREACHABLE as e:
            log.warning(
                "pod %s/%s: the API server cannot be reached: %s", self.view.namespace, self.view.name, e
            )
            return False
        if answer.get("kind") == "Pod" and _version(answer) > _version(self.view.json):
            self.view.json = answer
        return True


def _version(pod: Json) -> int:
    return int(pod["metadata"]["resourceVersion"])


def _task(life: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(life)
    task.add_done_callback(_complain)
    return task


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a pod's task ended unexpectedly", exc_info=error)
