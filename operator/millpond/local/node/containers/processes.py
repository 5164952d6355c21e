"""Containers as processes that outlive the node agent.

Each container has a launcher: a shell, leader of a session of its own, that runs the command in the foreground and
writes its exit code to a file (an agent that was restarted is no longer the parent and could not wait for it). A shell
costs 0.3 MB of private memory and a millisecond; its traps keep it alive when the command signals its own group.
bash rather than sh, because dash drops variables whose names are no identifiers (`spring.datasource.url`).
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from millpond.local.node.figures import proctable

KILLED = 128 + signal.SIGKILL
_LAUNCHER = """trap : HUP INT QUIT TERM USR1 USR2; "$@" 2>&1; echo $? >"$0" """
_SHELL = ("bash", "-p") if shutil.which("bash") else ("sh",)
_children: dict[int, subprocess.Popen[bytes]] = {}  # launchers of this agent, to be reaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A launcher: its pid and start time (kernel ticks), which together are never used again."""

    pid: int
    start: int


def launch(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, exit_file: Path) -> Process:
    """Raises OSError when it cannot be started; ``argv[0]`` must be a path."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            [shutil.which(_SHELL[0]) or "/bin/sh", *_SHELL[1:], "-c", _LAUNCHER, str(exit_file), *argv],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,  # the shell's own remarks; the command's go to the log
            start_new_session=True,
        )
    _children[child.pid] = child
    entry = proctable.read(child.pid)
    assert entry, "a child that is not waited for stays in the process table"
    return Process(pid=child.pid, start=entry.start)


def alive(process: Process) -> bool:
    entry = proctable.read(process.pid)
    return entry is not None and entry.start == process.start and entry.state != "Z"


async def ended(process: Process) -> None:
    """Returns when the launcher is gone, whoever its parent is."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if alive(process):
            await _readable(fd)
    finally:
        os.close(fd)
    if child := _children.pop(process.pid, None):
        child.wait()


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(fd, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(fd)


def exit_code(exit_file: Path) -> int | None:
    """None when the launcher was killed before it could tell."""
    try:
        return int(exit_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def command(process: Process) -> int | None:
    """The pid of the container's own process, the launcher's only child."""
    if not alive(process):
        return None
    table = proctable.read_all()
    return next((e.pid for e in table.values() if e.parent == process.pid and e.state != "Z"), None)


def terminate(process: Process) -> bool:
    """SIGTERM to the container's own process only, as a container runtime does; False when there is none yet."""
    pid = command(process)
    if pid:
        _signal(pid, signal.SIGTERM)
    return pid is not None


def kill(process: Process, mark: str) -> None:
    """SIGKILL to everything of the container but the launcher, which then writes 137 and goes.

    ``mark`` is a ``NAME=value`` that only this container's processes carry in their environment.
    """
    table = proctable.read_all()
    inside = {e.pid for e in proctable.members(table, process.pid)} if alive(process) else set()
    strays = set(proctable.marked(table, mark.encode())) - {process.pid}
    for pid in inside | strays:
        _signal(pid, signal.SIGKILL)


def kill_launcher(process: Process) -> None:
    if alive(process):
        _signal(process.pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
