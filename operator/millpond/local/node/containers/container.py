"""One container of a pod: starts its process, follows it, restarts it, ends it."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

from millpond.local.node.api import Json
from millpond.local.node.containers import processes
from millpond.local.node.containers.backoff import Backoff
from millpond.local.node.containers.ending import Ending
from millpond.local.node.containers.environment import ConfigError
from millpond.local.node.containers.probing import Prober, target
from millpond.local.node.containers.starting import NoEntrypoint, Plan, plan
from millpond.local.node.host import Host
from millpond.local.node.pods.podview import PodView
from millpond.local.node.state import Container, Ended, Running

_PULLING = ("ErrImagePull", "ImagePullBackOff")
_RETRY_S = (
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
)  # a reference may appear, or the authorizer learn of the pod, a moment later
_START_ERROR = 128
_LAST_WORDS_BYTES = 2048
_BACK_OFF = "CrashLoopBackOff"


class ContainerRunner:
    """Runs one container for as long as its pod wants. ``changed`` is called at every change of ``state``."""

    def __init__(self, spec: Json, pod: PodView, host: Host, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.folder: Path = pod.folder / spec["name"]
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = Container(
            name=spec["name"], image=spec["image"], backoff=Backoff(base_s=host.config.backoff_s)
        )
        self.state = Container.load(self.folder / "state.json") or fresh
        self._pod, self._host, self._notify = pod, host, changed
        self._over = asyncio.Event()  # no further run is wanted
        self._ending: Ending | None = None
        self._end_message = ""
        self._attempts = 0

    async def run(self, restart_policy: str) -> None:
        """Until the restart policy, or ``end``, wants no further run. Cancelled: the process is left alone."""
        if self.state.running:
            await self._follow(self.state.running, adopted=True)
        while self._wanted(restart_policy):
            if await self._backed_off() and await self._start() and self.state.running:
                await self._follow(self.state.running)

    def end(self, grace_s: float, *, for_good: bool = True, message: str = "") -> None:
        """Begin to end the process; of two grace periods the one that is over first counts."""
        if for_good:
            self._over.set()
        if self._ending:
            self._ending.shorten(grace_s)
        elif running := self.state.running:
            self._end_message = message
            hook = self.spec.get("lifecycle", {}).get("preStop")
            asked = target(self.spec, self._pod, running)
            self._ending = Ending(running.process, _mark(running.id), hook, asked, self._host, grace_s)

    def await_init(self) -> None:
        """Say that init containers come first."""
        if self.state.waiting and not self.state.last:
            self.state.wait("PodInitializing")
            self._changed()

    def out_of_memory(self) -> None:
        """SIGKILL at once, to be reported as OOMKilled."""
        if running := self.state.running:
            self._oom_file.touch()
            processes.kill(running.process, _mark(running.id))

    @property
    def newest_run(self) -> int:
        """The one that `kubectl logs` shows: while it waits for a restart, the one before."""
        waits_again = self.state.waiting and self.state.last and not self.log(self.state.restarts).exists()
        return self.state.restarts - bool(waits_again)

    def runs(self, run: int) -> bool:
        return run == self.state.restarts and self.state.running is not None

    def log(self, run: int) -> Path:
        """The output of the run before which there were ``run`` restarts."""
        return self.folder / f"{run}.log"

    # ---- start ---------------------------------------------------------------------------------------------------

    def _wanted(self, policy: str) -> bool:
        ended = self.state.ended
        if self._over.is_set():
            return False
        return ended is None or policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)

    async def _backed_off(self) -> bool:
        """False when the end came first."""
        waiting = self.state.waiting
        interrupted = (
            self.state.last if waiting and waiting.reason == _BACK_OFF else None
        )  # by an agent's restart
        if not (ended := self.state.ended or interrupted):
            return not self._over.is_set()
        wait_s = self.state.backoff.wait_s
        due_in_s = ended.finished_at_s + wait_s - self._host.clock()
        self.state.last = ended
        if due_in_s > 0:
            message = (
                f"back-off {wait_s:g}s restarting failed container={self.state.name} pod={self._pod.name}"
            )
            self._wait(_BACK_OFF, message)
            if await self._over_within(due_in_s):
                return False
        self.state.restarts += 1
        return True

    async def _start(self) -> bool:
        """False when it could not: then why is in the state."""
        run_id = uuid.uuid4().hex
        try:
            planned = await plan(self.spec, self._pod, self._host, ("MILLPOND_CONTAINER", run_id))
        except ConfigError as e:
            self._wait("CreateContainerConfigError", str(e))
        except NoEntrypoint as e:
            pulling = self.state.waiting and self.state.waiting.reason in _PULLING
            self._wait(_PULLING[1 if pulling else 0], str(e))
        else:
            self._attempts = 0
            return self._launch(planned, run_id)
        self._attempts += 1
        await self._over_within(_RETRY_S[min(self._attempts, len(_RETRY_S)) - 1])
        return False

    def _launch(self, planned: Plan, run_id: str) -> bool:
        now_s = self._host.clock()
        for old in (self._exit_file, self._oom_file, *self.folder.glob(f"{self.state.restarts - 2}.*")):
            old.unlink(missing_ok=True)
        try:
            process = planned.start(self.log(self.state.restarts), self._exit_file)
        except OSError as e:
            self._ended(_START_ERROR, "StartError", str(e), run_id, now_s)
            return False
        self.state.run(Running(process=process, started_at_s=now_s, id=run_id))
        self._changed()
        self._host.events.tell(self._pod.json, "Started", f"Started container {self.state.name}")
        return True

    def _wait(self, reason: str, message: str) -> None:
        waiting = self.state.waiting
        if not waiting or (waiting.reason, waiting.message) != (reason, message):
            self.state.wait(reason, message)
            self._changed()
            self._host.events.warn(self._pod.json, "BackOff" if reason == _BACK_OFF else "Failed", message)

    async def _over_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True

    # ---- run and end ---------------------------------------------------------------------------------------------

    async def _follow(self, running: Running, *, adopted: bool = False) -> None:
        """From start (or adoption) to end of one run."""
        prober = Prober(self.spec, self._pod, self._host, self.state, self._changed, self._failed)
        probing = asyncio.create_task(prober.run(adopted=adopted))
        try:
            await processes.ended(running.process)
        finally:
            probing.cancel()
        processes.kill(running.process, _mark(running.id))  # what the command left behind
        ending, self._ending = self._ending, None
        if ending:
            await ending.done
            if ending.hook_failure:
                self._host.events.warn(self._pod.json, "FailedPreStopHook", ending.hook_failure)
        self._report(running, killed_by_us=ending is not None)

    def _failed(self, what: str, grace_s: float | None) -> None:
        if self._over.is_set():
            return
        message = f"Container {self.state.name} failed {what}, will be restarted"
        self._host.events.tell(self._pod.json, "Killing", message)
        self.end(self._pod.grace_s if grace_s is None else grace_s, for_good=False, message=message)

    def _report(self, running: Running, *, killed_by_us: bool) -> None:
        code = processes.exit_code(self._exit_file)
        if self._oom_file.exists():
            self._ended(
                processes.KILLED,
                "OOMKilled",
                "The container was above its memory limit.",
                running.id,
                running.started_at_s,
            )
        elif code is None and not killed_by_us:
            message = "The processes were gone without an exit code: killed from outside."
            self._ended(processes.KILLED, "ContainerStatusUnknown", message, running.id, running.started_at_s)
        else:
            code = processes.KILLED if code is None else code
            reason = "Error" if code else "Completed"
            message = self._end_message or (self._last_words() if code else "")
            self._ended(code, reason, message, running.id, running.started_at_s)
        self._end_message = ""

    def _last_words(self) -> str:
        if self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        return self.log(self.state.restarts).read_bytes()[-_LAST_WORDS_BYTES:].decode(errors="replace")

    def _ended(self, code: int, reason: str, message: str, run_id: str, started_at_s: float) -> None:
        now_s = self._host.clock()
        self.state.end(
            Ended(
                exit_code=code,
                reason=reason,
                message=message,
                started_at_s=started_at_s,
                finished_at_s=now_s,
                id=run_id,
            )
        )
        self.state.backoff = self.state.backoff.after_end(now_s)
        self._changed()

    def _changed(self) -> None:
        self.state.save(self.folder / "state.json")
        self._notify()

    @property
    def _exit_file(self) -> Path:
        return self.folder / "exit"

    @property
    def _oom_file(self) -> Path:
        return self.folder / "oom"


def _mark(run_id: str) -> str:
    return f"MILLPOND_CONTAINER={run_id}"
