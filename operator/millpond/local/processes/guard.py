"""Outlives the process that started a foreground cluster, and then ends whatever is left of it.

It runs in a session of its own, ignores the terminal's signals, and waits for its pipe to close or its
parent to end, by SIGKILL as well. It holds the cluster's lock until nothing is left.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from millpond.local.processes import reaper

_RELEASE = b"release\n"


@dataclass(frozen=True, slots=True)
class Guard:
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, cluster_id: str, folder: Path, lock_fd: int) -> "Guard":
        argv = [sys.executable, "-m", __name__, cluster_id, str(folder), str(os.getpid())]
        environ = {name: value for name, value in os.environ.items() if name != reaper.CLUSTER}
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, env=environ, cwd="/", start_new_session=True, pass_fds=(lock_fd,)
        )
        return cls(process)

    def finish(self) -> None:
        """End what is left of the cluster, delete its folder, and wait for that."""
        self._pipe().close()
        self.process.wait()

    def release(self) -> None:
        """Leave the cluster running."""
        self._pipe().write(_RELEASE)
        self.finish()

    def _pipe(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin


def main(cluster_id: str, folder: str, parent: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if _wait_for_end(int(parent)) == _RELEASE:
        return
    reaper.end(cluster_id)
    shutil.rmtree(folder, ignore_errors=True)


def _wait_for_end(parent: int) -> bytes:
    """What the parent said last; empty when it ended or closed the pipe."""
    try:
        parent_fd = os.pidfd_open(parent)
    except ProcessLookupError:
        return b""
    pipe = sys.stdin.fileno()
    while os.getppid() == parent:
        readable, _, _ = select.select([parent_fd, pipe], [], [])
        if pipe in readable:
            return os.read(pipe, 64)
    return b""


if __name__ == "__main__":
    main(*sys.argv[1:])
