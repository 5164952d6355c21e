"""One starter or stopper per cluster at a time; a foreground cluster is locked until its guard ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from millpond.local.errors import ClusterError

_PATIENCE_S = 5.0  # a guard that cleans up needs less


@contextmanager
def held(folder: Path, *, patience_s: float = _PATIENCE_S) -> Iterator[int]:
    """The file descriptor that locks `folder`; whoever inherits it holds the lock on.

    Raises ClusterError when somebody else has kept the lock for `patience_s`.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait(fd, folder, patience_s)
        yield fd
    finally:
        os.close(fd)


def _wait(fd: int, folder: Path, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not _try(fd):
        if time.monotonic() > deadline:
            raise ClusterError(f"{folder.name} is in use by another millpond process ({folder})")
        time.sleep(0.1)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
