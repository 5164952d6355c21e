"""The end of a process: preStop hook, SIGTERM, grace period, SIGKILL."""

import asyncio
from collections.abc import Coroutine

from millpond.local.node.api import Json
from millpond.local.node.asking import Target
from millpond.local.node.containers import processes
from millpond.local.node.containers.processes import Process
from millpond.local.node.host import Host

_SHORTEST_S = 1.0
_AFTER_LATE_TERM_S = 2.0  # what a preStop hook that used up the grace period still leaves
_JUST_STARTED_S = 0.01  # the launcher has not forked yet
_LAUNCHER_S = 2.0  # for the launcher to note the exit code


class Ending:
    """Starts at once; await ``done``."""

    def __init__(
        self, process: Process, mark: str, hook: Json | None, target: Target, host: Host, grace_s: float
    ) -> None:
        self._process, self._mark = process, mark
        self._host, self._hook, self._target = host, hook, target
        self._deadline = self._from_now(grace_s)
        self._timer: asyncio.Timeout | None = None
        self._sent = False
        self.hook_failure = ""
        self.done = asyncio.create_task(self._run())

    def shorten(self, grace_s: float) -> None:
        self._deadline = min(self._deadline, self._from_now(grace_s))
        if self._timer:
            self._timer.reschedule(self._deadline)

    async def _run(self) -> None:
        try:
            async with asyncio.timeout_at(self._deadline) as self._timer:
                if self._hook:
                    answer = await self._host.asker.ask(self._hook, self._target, None)
                    self.hook_failure = "" if answer.ok else answer.message
                await self._terminate()
        except TimeoutError:
            self._timer = None
            if not self._sent:
                await _within(self._terminate(), _AFTER_LATE_TERM_S)
            await self._kill()
        finally:
            self._timer = None

    async def _terminate(self) -> None:
        self._sent = True
        while processes.alive(self._process):
            if processes.terminate(self._process):
                break
            await asyncio.sleep(_JUST_STARTED_S)
        await processes.ended(self._process)

    async def _kill(self) -> None:
        while processes.alive(self._process):
            processes.kill(self._process, self._mark)
            if not await _within(processes.ended(self._process), _LAUNCHER_S):
                processes.kill_launcher(self._process)

    @staticmethod
    def _from_now(grace_s: float) -> float:
        return asyncio.get_running_loop().time() + max(_SHORTEST_S, grace_s)


async def _within(what: Coroutine[None, None, None], seconds: float) -> bool:
    try:
        await asyncio.wait_for(what, seconds)
    except TimeoutError:
        return False
    return True
