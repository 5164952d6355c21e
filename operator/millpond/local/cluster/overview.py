"""What can be said of clusters from outside, whether they run or not."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from millpond.local import folders, lock, record
from millpond.local.cluster import boot
from millpond.local.cluster.plane import ControlPlane
from millpond.local.errors import ClusterError
from millpond.local.processes import reaper
from millpond.local.processes.processes import Processes
from millpond.local.record import Record


@dataclass(frozen=True, slots=True)
class Overview:
    name: str
    folder: Path
    state: str
    """running, starting (the API server isn't ready), broken (a program of the control plane ended), or stopped."""
    server: str
    nodes: Sequence[str]
    processes: int

    def kubeconfig(self, who: str) -> Path:
        return ControlPlane(self.name, self.folder, {}).kubeconfig(who)


def overview(name: str) -> Overview | None:
    """None when there is no such cluster."""
    folder = folders.clusters() / name
    remembered = record.load(folder)
    return None if remembered is None else _look(folder, remembered)


def overviews() -> list[Overview]:
    home = folders.clusters()
    return [_look(home / remembered.name, remembered) for remembered in record.all_in(home)]


def delete(name: str) -> None:
    """The data of a stopped cluster. Raises ClusterError when it runs."""
    folder = folders.clusters() / name
    with lock.held(folder):
        remembered = record.load(folder)
        if remembered is not None and reaper.members(remembered.id):
            raise ClusterError(f"cluster {name} is running: stop it first")
        shutil.rmtree(folder, ignore_errors=True)


def _look(folder: Path, remembered: Record) -> Overview:
    members = reaper.members(remembered.id)
    plane = ControlPlane(remembered.name, folder, remembered.ports)
    return Overview(
        name=remembered.name,
        folder=folder,
        state=_state(plane, Processes(folder, remembered), alive=bool(members)),
        server=plane.server if remembered.ports else "",
        nodes=sorted(remembered.nodes),
        processes=len(members),
    )


def _state(plane: ControlPlane, processes: Processes, *, alive: bool) -> str:
    if not alive:
        return "stopped"
    if not boot.is_running(processes):
        return "broken"
    return "running" if boot.is_ready(plane) else "starting"
