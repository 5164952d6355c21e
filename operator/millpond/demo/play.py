"""Plays a script: types its commands while traffic flows, and waits until each step has come to its end."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from millpond.clock import steady_s
from millpond.demo.recording import Moment
from millpond.demo.script import Command, Script, ScriptStep, typed
from millpond.demo.stage.stack import Admin
from millpond.demo.watch import Watch
from millpond.local.errors import KubectlError
from millpond_policies.world.release import Phase

STEP_S = 180.0
"""A step that has not come to its end by then never will; the checks will say so."""
_LOOK_EVERY_S = 0.1


class CommandError(Exception):
    """A command of the script failed; the message has what it printed."""


class Shell(Protocol):
    def __call__(self, command: Command) -> None:
        """Raises CommandError."""


async def play(script: Script, watch: Watch, shell: Shell, tell: Callable[[Sequence[str]], None]) -> bool:
    """Whether every step came to an end. After one that did not, the others make no sense. Raises CommandError."""
    for step in script.steps:
        await asyncio.sleep(step.hold_s)
        seen = len(watch.takeovers.moments)
        for number, command in enumerate(step.commands, 1):
            tell([typed(c) for c in step.commands[:number]])
            await asyncio.to_thread(shell, command)
        if not await _over(step, watch, seen):
            return False
    await asyncio.sleep(script.after_s)
    return True


async def _over(step: ScriptStep, watch: Watch, seen: int) -> bool:
    """Its rollout ended, well or not, and nothing is left of the other editions."""
    deadline_s = steady_s() + STEP_S
    while steady_s() < deadline_s:
        moments = watch.takeovers.moments[seen:]
        if any(_ends(step, moment) for moment in moments) and len(watch.editions) == 1:
            return True
        await asyncio.sleep(_LOOK_EVERY_S)
    return False


def _ends(step: ScriptStep, moment: Moment) -> bool:
    return moment.edition == step.edition and Phase(moment.phase).final


def shell_of(cluster: Admin) -> Shell:
    """Runs commands as somebody would who has the kubeconfig of this cluster's administrator."""

    def run(command: Command) -> None:
        program, *args = command
        if program == "kubectl":
            try:
                cluster.kubectl(*args)
            except KubectlError as error:
                raise CommandError(str(error)) from error
            return
        argv = [sys.executable, "-m", program, *args]
        env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(f"{typed(command)} ended with {done.returncode}: {done.stderr.strip()}")

    return run
