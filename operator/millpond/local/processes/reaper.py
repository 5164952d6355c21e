"""Ends everything that belongs to a cluster, also pods whose agent has gone: all carry their cluster's id."""

import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from millpond.local.errors import ClusterError

CLUSTER = "MILLPOND_CLUSTER"
NODE = "MILLPOND_NODE"
_DEADLINE_S = 30.0


def members(cluster_id: str, node: str | None = None, *, spare: Collection[int] = ()) -> list[int]:
    """Process ids whose environment says that they belong to the cluster (and to the node, if given)."""
    spared = {os.getpid(), *spare}
    marks = {f"{CLUSTER}={cluster_id}".encode()}
    if node is not None:
        marks.add(f"{NODE}={node}".encode())
    return [pid for pid, environ in _environments() if marks <= environ and pid not in spared]


def end(
    cluster_id: str, node: str | None = None, *, grace_s: float = 0.0, spare: Collection[int] = ()
) -> None:
    """Ask all members but `spare` to end, wait up to `grace_s`, then kill until a whole scan finds none."""
    if grace_s > 0:
        _signal(members(cluster_id, node, spare=spare), signal.SIGTERM)
    patience, deadline = time.monotonic() + grace_s, time.monotonic() + grace_s + _DEADLINE_S
    while found := members(cluster_id, node, spare=spare):
        if time.monotonic() > deadline:
            raise ClusterError(f"processes of cluster {cluster_id} don't end: {found}")
        if time.monotonic() > patience:
            _signal(found, signal.SIGKILL)
        time.sleep(0.02)


def _environments() -> Iterator[tuple[int, set[bytes]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), set((entry / "environ").read_bytes().split(b"\0"))
            except OSError:  # gone meanwhile, or of another user
                continue


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
