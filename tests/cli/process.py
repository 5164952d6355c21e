"""A command of `millpond` as a process: what it has printed so far, and its exit code."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from waiting import eventually


class Process:
    """``terminal``: its stdout is a terminal of its own; else stdout and stderr are pipes."""

    def __init__(self, args: Sequence[str], *, terminal: bool = False) -> None:
        ours, theirs = pty.openpty() if terminal else os.pipe()
        err, err_theirs = os.pipe()
        env = os.environ | {"COLUMNS": "120", "TERM": "xterm", "FORCE_COLOR": "1"}  # as on a CI system
        self._process = subprocess.Popen(
            [sys.executable, "-m", "millpond", *args],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=err_theirs,
            env=env,
        )
        os.close(theirs)
        os.close(err_theirs)
        self._out, self._err = bytearray(), bytearray()
        self._readers = [
            threading.Thread(target=_read, args=pair, daemon=True)
            for pair in ((ours, self._out), (err, self._err))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def out(self) -> str:
        return self._out.decode(errors="replace")

    @property
    def err(self) -> str:
        return self._err.decode(errors="replace")

    def says(self, text: str, timeout_s: float = 30) -> None:
        eventually(
            lambda: text in self.out + self.err, timeout_s, f"it says {text!r}; so far:\n{self.out}{self.err}"
        )

    def code(self, timeout_s: float = 30) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(timeout_s)
        for reader in self._readers:
            reader.join(5)
        return code

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        if self.running:
            self._process.kill()
            self._process.wait(10)


def _read(fd: int, into: bytearray) -> None:
    try:
        while chunk := os.read(fd, 65536):
            into += chunk
    except OSError:  # the terminal's other end is closed
        pass
    finally:
        os.close(fd)
