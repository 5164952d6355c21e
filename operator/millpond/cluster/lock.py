"""One starter or stopper per cluster at a time; a foreground cluster is locked until its guard ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from millpond.cluster.errors import ClusterError

_PATIENCE_S = 15.0


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """The file descriptor that locks the cluster in `folder`; whoever inherits it holds the lock on."""
    fd = _acquire(folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _acquire(folder: Path) -> int:
    """Raises ClusterError when somebody else keeps the lock."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PATIENCE_S
    while not _try(fd):
        if time.monotonic() > deadline:
            os.close(fd)
            raise ClusterError(f"cluster {folder.name} is in use by another process: choose another name")
        time.sleep(0.1)
    return fd


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
