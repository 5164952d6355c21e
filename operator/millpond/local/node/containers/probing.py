"""The probes of one run of a container."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from millpond.local.node.api import Json
from millpond.local.node.asking import Target
from millpond.local.node.containers.probes import Probe, Streak
from millpond.local.node.figures import proctable
from millpond.local.node.host import Host
from millpond.local.node.pods.podview import PodView
from millpond.local.node.state import Container, Running


def target(spec: Json, pod: PodView, running: Running) -> Target:
    ports = {p["name"]: p["containerPort"] for p in spec.get("ports", ()) if "name" in p}
    pid = running.process.pid
    return Target(
        pod_ip=pod.ip, ports=ports, env=proctable.environment(pid), cwd=proctable.folder(pid) or Path("/")
    )


class Prober:
    """Keeps ``state.started`` and ``state.ready``; calls ``fail`` (what, its own grace period) when a kill is due.

    An adopted run starts with what was known of it, so a restarted agent takes nobody out of service.
    """

    def __init__(
        self,
        spec: Json,
        pod: PodView,
        host: Host,
        state: Container,
        changed: Callable[[], None],
        fail: Callable[[str, float | None], None],
    ) -> None:
        assert state.running
        self._spec, self._pod, self._host, self._state = spec, pod, host, state
        self._changed, self._fail = changed, fail
        self._target = target(spec, pod, state.running)
        self._began_s = state.running.started_at_s
        self._started = asyncio.Event()

    async def run(self, *, adopted: bool = False) -> None:
        """Until cancelled."""
        if not adopted and not await self._post_start():
            return
        startup, readiness, liveness = (
            Probe.of(self._spec, f"{k}Probe") for k in ("startup", "readiness", "liveness")
        )
        loops: list[Coroutine[Any, Any, None]] = []
        if startup and not self._state.started:
            loops.append(self._probe(startup, "Startup", None))
        else:
            self._start()
        if readiness:
            loops.append(self._probe(readiness, "Readiness", self._state.ready or None))
        if liveness:
            loops.append(self._probe(liveness, "Liveness", True))
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(loop)

    async def _post_start(self) -> bool:
        hook = self._spec.get("lifecycle", {}).get("postStart")
        if not hook:
            return True
        answer = await self._host.asker.ask(hook, self._target, None)
        if not answer.ok:
            self._host.events.warn(self._pod.json, "FailedPostStartHook", answer.message)
            self._fail("its postStart hook", None)
        return answer.ok

    async def _probe(self, probe: Probe, kind: str, known: bool | None) -> None:
        streak = Streak(probe, known)
        if kind != "Startup":
            await self._started.wait()
        await asyncio.sleep(self._began_s + probe.initial_delay_s - self._host.clock())
        now = asyncio.get_running_loop().time
        while True:
            asked_at = now()
            answer = await self._host.asker.ask(probe.spec, self._target, probe.timeout_s)
            if not answer.ok:
                self._host.events.warn(self._pod.json, "Unhealthy", f"{kind} probe failed: {answer.message}")
            if streak.add(answer.ok):
                self._conclude(probe, kind, answer.ok)
            if kind != "Readiness" and (streak.verdict is False or (kind == "Startup" and streak.verdict)):
                return
            await asyncio.sleep(asked_at + probe.period_s - now())

    def _conclude(self, probe: Probe, kind: str, ok: bool) -> None:
        if kind == "Readiness":
            self._state.ready = ok
            self._changed()
        elif not ok:
            self._fail(f"{kind.lower()} probe", probe.grace_s)
        elif kind == "Startup":
            self._start()

    def _start(self) -> None:
        self._started.set()
        ready = self._state.ready or "readinessProbe" not in self._spec
        if (self._state.started, self._state.ready) != (True, ready):
            self._state.started, self._state.ready = True, ready
            self._changed()
