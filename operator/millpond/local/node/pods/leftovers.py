"""What a node that was away finds: folders and processes of pods that are no more."""

import os
import shutil
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from millpond.local.node.figures import proctable
from millpond.local.node.state import Container


def clear(folder: Path, *, keep: Collection[str], node: str) -> None:
    """Remove the folders of other pods than ``keep`` (uids), and kill this node's processes outside of kept pods."""
    for other in folder.glob("*"):
        if other.name not in keep:
            shutil.rmtree(other, ignore_errors=True)
    for pid in _strangers(_known_runs(folder), node):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _known_runs(folder: Path) -> set[str]:
    states = (Container.load(file) for file in folder.glob("*/*/state.json"))
    return {state.running.id for state in states if state and state.running}


def _strangers(known: set[str], node: str) -> list[int]:
    mine = {"MILLPOND_NODE": node, "MILLPOND_CLUSTER": os.environ.get("MILLPOND_CLUSTER")}
    found = []
    for pid in proctable.pids():
        env = proctable.environment(pid)
        run = env.get("MILLPOND_CONTAINER")
        if run and run not in known and all(env.get(name) == value for name, value in mine.items()):
            found.append(pid)
    return found
