"""Containers as processes, without an API server."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.local.node.containers import processes
from millpond.local.node.containers.processes import Process
from millpond.local.node.figures import proctable

from waiting import eventually

MARK = "MILLPOND_CONTAINER=test-run"


class Box:
    """One container's files, and what was started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, list[Process]()

    def start(self, script: str, **env: str) -> Process:
        mark, _, value = MARK.partition("=")
        process = processes.launch(
            [shutil.which("sh") or "", "-c", script],
            env={"PATH": os.environ["PATH"], mark: value} | env,
            cwd=self.folder,
            log=self.folder / "log",
            exit_file=self.folder / "exit",
        )
        self.started.append(process)
        return process

    @property
    def output(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def exit_code(self) -> int | None:
        return processes.exit_code(self.folder / "exit")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    for process in made.started:
        processes.kill(process, MARK)
        processes.kill_launcher(process)


async def test_output_and_exit_code_are_on_disk(box: Box) -> None:
    await processes.ended(box.start("echo out; echo err >&2; exit 7"))
    assert (box.output, box.exit_code) == ("out\nerr\n", 7)


@pytest.mark.skipif(not shutil.which("bash"), reason="without bash, sh may drop such variables")
async def test_variables_need_not_be_identifiers(box: Box) -> None:
    await processes.ended(
        box.start("tr '\\0' '\\n' < /proc/self/environ", **{"spring.datasource.url": "jdbc:x"})
    )
    assert "spring.datasource.url=jdbc:x\n" in box.output


async def test_the_command_is_asked_to_end_and_its_launcher_tells_how(box: Box) -> None:
    process = box.start("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done")
    await eventually(lambda: _true("up" in box.output), 10, "it is up")
    assert processes.terminate(process)
    await processes.ended(process)
    assert box.exit_code == 5
    assert "bye" in box.output


async def _true(value: bool) -> bool:
    return value


async def test_a_signal_to_its_own_group_does_not_silence_the_launcher(box: Box) -> None:
    await processes.ended(box.start("kill -TERM 0; sleep 10"))
    assert box.exit_code == 128 + signal.SIGTERM


async def test_a_kill_reaches_children_that_left_the_session_and_their_parent(box: Box) -> None:
    process = box.start("setsid sh -c 'sleep 1000 & echo $! > stray'; echo up; sleep 1000")
    stray_file = box.folder / "stray"
    await eventually(lambda: _true("up" in box.output and stray_file.exists()), 10, "it is up")
    processes.kill(process, MARK)
    await processes.ended(process)
    stray = int(stray_file.read_text())
    await eventually(lambda: _true(_is_over(stray)), 10, "the stray is dead")
    assert box.exit_code == processes.KILLED


def _is_over(pid: int) -> bool:
    entry = proctable.read(pid)
    return entry is None or entry.state == "Z"


async def test_an_agent_that_is_not_the_parent_sees_the_end_and_the_exit_code(box: Box) -> None:
    """Started by another process that is gone meanwhile, as after a restart of the agent."""
    program = (
        "import sys, pathlib; from millpond.local.node.containers import processes; f = pathlib.Path(sys.argv[1]);"
        "p = processes.launch(['/bin/sh', '-c', 'until test -e go; do sleep 0.01; done; exit 9'],"
        " env={'PATH': '/usr/bin:/bin'}, cwd=f, log=f/'log', exit_file=f/'exit'); print(p.pid, p.start)"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(box.folder), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await parent.communicate()
    pid, start = map(int, printed.split())
    process = Process(pid=pid, start=start)
    box.started.append(process)
    assert processes.alive(process)
    (box.folder / "go").touch()
    await processes.ended(process)
    assert box.exit_code == 9


def test_a_pid_that_was_given_to_another_process_is_not_taken_for_the_old_one() -> None:
    assert not processes.alive(Process(pid=os.getpid(), start=1))


async def test_memory_and_cpu_of_the_whole_tree_are_counted(box: Box) -> None:
    process = box.start("(while :; do :; done) & (while :; do :; done) & wait")

    async def busy() -> bool:
        inside = proctable.members(proctable.read_all(), process.pid)
        return (
            len(inside) == 3
            and sum(e.cpu_s for e in inside) > 0.05
            and sum(e.rss_bytes for e in inside) > 1e6
        )

    await eventually(busy, 20, "a shell and its two children use CPU")
