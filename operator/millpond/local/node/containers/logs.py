"""Reading a container's output for `kubectl logs`."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

_BLOCK_BYTES = 64 * 1024
_POLL_S = 0.1


async def read(
    file: Path, begin: int = 0, *, limit_bytes: int | None = None, follow: Callable[[], bool] | None = None
) -> AsyncIterator[bytes]:
    """Blocks of output from ``begin`` on; while ``follow()`` is true, what is still to come as well."""
    left = limit_bytes
    with file.open("rb") as stream:
        stream.seek(begin)
        while left is None or left > 0:
            going = follow is not None and follow()
            block = stream.read(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
            if block:
                left = None if left is None else left - len(block)
                yield block
            elif not going:
                return
            else:
                if os.fstat(stream.fileno()).st_size < stream.tell():  # it was cut
                    stream.seek(0)
                await asyncio.sleep(_POLL_S)


def tail(file: Path, lines: int) -> int:
    """Where the last ``lines`` lines of a file begin; an unfinished last line counts as one."""
    with file.open("rb") as stream:
        return _start_of_last(stream.fileno(), lines)


def _start_of_last(fd: int, lines: int) -> int:
    at = size = os.fstat(fd).st_size
    if lines <= 0 or size == 0:
        return size
    wanted = lines + (os.pread(fd, 1, size - 1) == b"\n")
    while at > 0:
        begin = max(0, at - _BLOCK_BYTES)
        block = os.pread(fd, at - begin, begin)
        found = block.count(b"\n")
        if found >= wanted:
            return begin + _nth_last(block, wanted) + 1
        wanted -= found
        at = begin
    return 0


def _nth_last(block: bytes, n: int) -> int:
    """The index of the n-th newline from the end."""
    at = len(block)
    for _ in range(n):
        at = block.rindex(b"\n", 0, at)
    return at
