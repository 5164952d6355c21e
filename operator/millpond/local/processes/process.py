"""One process of a cluster: started in a session of its own, with a log, recognisable by its cluster's id."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from millpond.local.processes import reaper

_TAIL_LINES = 12
_POLL_S = 0.02


class Process:
    """A running or ended process; `started_s` tells it from a later one with the same process id."""

    def __init__(
        self, name: str, pid: int, log_path: Path, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.name = name
        self.pid = pid
        self.log_path = log_path
        self._child = child
        self._process = _process(pid)
        self.started_s = self._process.create_time() if self._process else 0.0

    @property
    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._process is not None and self._process.is_running() and not _is_zombie(self._process)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        if self.alive and self._process is not None:
            self._process.terminate()

    def stop(self, grace_s: float = 10.0) -> None:
        """Ask it to end, wait up to `grace_s`, then kill it."""
        self.terminate()
        if not self.wait(grace_s):
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until it has gone."""
        if self.alive and self._process is not None:
            self._process.kill()
            self.wait(30)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`; ended means ended, whether or not its parent has noticed."""
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def log_tail(self) -> str:
        """The last lines it wrote."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def launch(
    name: str,
    argv: Sequence[str],
    *,
    cluster_id: str,
    log_path: Path,
    env: Mapping[str, str],
    log: bool = True,
) -> Process:
    """Start `argv`; what it prints is appended to `log_path`, or without `log` goes to our own output."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", **env, reaper.CLUSTER: cluster_id}
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as output:
        child = subprocess.Popen(
            list(argv),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output if log else None,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,
        )
    return Process(name, child.pid, log_path, child)


def found_again(name: str, pid: int, started_s: float, log_path: Path) -> Process | None:
    """The process that an earlier run of ours started, if it still runs."""
    process = Process(name, pid, log_path)
    return process if process.alive and abs(process.started_s - started_s) < 1 else None


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
