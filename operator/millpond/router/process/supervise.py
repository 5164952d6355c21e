"""Runs Envoy and ends it without cutting a request. A script of its own that needs nothing but the standard library.

SIGTERM: every answer tells its client to close the connection; new connections are taken for `accept_s` more, until
clients and load balancers have noticed; once no request runs, or after `drain_s`, Envoy ends. A second SIGTERM, or
SIGINT, ends it at once. Envoy never outlives this process (on Linux).
"""

import ctypes
import os
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeAlias

# The listeners for apps only, which count together: the operator goes on reading the statistics.
_TELL_CLIENTS = "/drain_listeners?graceful&skip_exit&inboundonly"
_STOP_LISTENING = "/drain_listeners?inboundonly"
_COUNTS = "/stats?filter=^http.apps.downstream_(rq_active|rq_total|cx_active)$"
_COUNT = re.compile(r"http\.apps\.downstream_(\w+): (\d+)")
_POLL_S = 0.1
_QUIET_S = 1.0
"""Clients keep idle connections, on which a request may come at any moment; those that don't use them for so long are
taken to be able to open another one."""
_ACCEPTED_S = 0.2
"""Longer than it takes Envoy to accept who has connected already."""
_PIDFD_GETFD, _SO_ATTACH_FILTER = 438, 26
# A socket filter over TCP packets: of the flags (byte 13) SYN without ACK, take nothing; otherwise everything.
_NO_SYN = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)
_TELLING = (signal.SIGTERM, signal.SIGINT)


Pause: TypeAlias = Callable[[float], bool]
"""Waits for so many seconds; whether it is not worth while to wait any longer."""


def drain(
    admin: Path, *, pid: int, listen: Sequence[str], accept_s: float, drain_s: float, pause: Pause
) -> None:
    """Returns when no request runs any more, or after `drain_s`, or when `pause` says so. `pid`: Envoy's.
    `listen`: its addresses for apps."""
    end_s = time.monotonic() + drain_s
    if call(admin, "POST", _TELL_CLIENTS) is None or pause(min(accept_s, drain_s)):
        return
    if _ignore_connections(pid, {int(address.rpartition(":")[2]) for address in listen}) and pause(
        _ACCEPTED_S
    ):
        return
    call(admin, "POST", _STOP_LISTENING)
    changed_s, total = time.monotonic(), -1
    while (now_s := time.monotonic()) < end_s and not pause(_POLL_S):
        counts = _counts(admin)
        if counts is None:
            continue
        if counts.get("rq_total", 0) != total:
            total, changed_s = counts.get("rq_total", 0), now_s
        quiet = not counts.get("cx_active") or now_s - changed_s >= _QUIET_S
        if quiet and not counts.get("rq_active"):
            return


def call(admin: Path, method: str, path: str) -> str | None:
    """Envoy's answer with its head; None when there is none, or when it is not 200."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            connection.connect(str(admin))
            request = (
                f"{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
    except OSError:
        return None
    return answer if answer.startswith("HTTP/1.1 200 ") else None


def _counts(admin: Path) -> dict[str, int] | None:
    """Of the listeners for apps; empty when there is none yet, None when Envoy does not answer."""
    answer = call(admin, "GET", _COUNTS)
    return None if answer is None else {name: int(number) for name, number in _COUNT.findall(answer)}


def _ignore_connections(pid: int, ports: Collection[int]) -> bool:
    """Make the kernel ignore attempts to connect to ports of that process; whether it did (on Linux, if allowed).

    Who has connected and is not accepted yet when a listening socket is closed gets a reset. Who was ignored tries
    again a second later: then the port refuses him, or another process that shares it takes him.
    """
    try:
        process = os.pidfd_open(pid)
        for name in os.listdir(f"/proc/{pid}/fd"):
            number = ctypes.CDLL(None).syscall(_PIDFD_GETFD, process, int(name), 0)
            if number >= 0:
                _ignore_on(number, ports)
        os.close(process)
    except (AttributeError, OSError):
        return False
    return True


def _ignore_on(number: int, ports: Collection[int]) -> None:
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        os.close(number)
        return
    with socket.socket(fileno=number) as found:
        listens = found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        )
        if listens and found.getsockname()[1] in ports:
            program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))
            described = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
            found.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


class _Envoy:
    def __init__(self, command: Sequence[str]) -> None:
        self._told = 0
        self._wake, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (*_TELLING, signal.SIGCHLD):
            signal.signal(number, self._note)
        # In a group of its own: what a terminal sends to all would end it before it has drained.
        self._process = subprocess.Popen(command, process_group=0, preexec_fn=_die_with_parent)

    def run(self, admin: Path, listen: Sequence[str], accept_s: float, drain_s: float) -> int:
        while not self._pause(None):
            pass
        if self._told == signal.SIGTERM and self._process.poll() is None:
            self._told = 0
            times = {"accept_s": accept_s, "drain_s": drain_s}
            drain(admin, pid=self._process.pid, listen=listen, pause=self._pause, **times)
        self._process.terminate()
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def _pause(self, seconds: float | None) -> bool:
        """Whether it was told to end, or Envoy has ended by itself."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)
        return bool(self._told) or self._process.poll() is not None

    def _note(self, number: int, _: object) -> None:
        if number in _TELLING:
            self._told = number


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main(admin: str, listen: str, accept_s: str, drain_s: str, *command: str) -> int:
    """`listen`: addresses with commas between them."""
    return _Envoy(command).run(Path(admin), listen.split(","), float(accept_s), float(drain_s))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
