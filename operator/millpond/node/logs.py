"""Reading a container's output for `kubectl logs`.

Processes write their log files themselves (so output goes on while no agent runs), therefore lines have no times:
`--timestamps`, `--since` and `--since-time` are left out.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

_BLOCK_BYTES = 64 * 1024
_POLL_S = 0.1


async def read(
    file: Path,
    *,
    tail: int | None = None,
    limit_bytes: int | None = None,
    follow: Callable[[], bool] | None = None,
) -> AsyncIterator[bytes]:
    """Blocks of output, from the last ``tail`` lines on; while ``follow()`` is true, what is still to come as well."""
    left = limit_bytes
    with file.open("rb") as stream:
        stream.seek(0 if tail is None else _start_of_last(stream.fileno(), tail))
        while left is None or left > 0:
            going = follow is not None and follow()
            block = stream.read(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
            if block:
                left = None if left is None else left - len(block)
                yield block
            elif going:
                await asyncio.sleep(_POLL_S)
            else:
                return


def _start_of_last(fd: int, lines: int) -> int:
    """Where the last ``lines`` lines begin; an unfinished last line counts as one."""
    at = size = os.fstat(fd).st_size
    wanted = lines if size and os.pread(fd, 1, size - 1) != b"\n" else lines + 1
    if lines <= 0:
        return size
    while at > 0:
        begin = max(0, at - _BLOCK_BYTES)
        block = os.pread(fd, at - begin, begin)
        found = block.count(b"\n")
        if found >= wanted:
            for _ in range(wanted):
                cut = block.rindex(b"\n")
                block = block[:cut]
            return begin + cut + 1
        wanted -= found
        at = begin
    return 0
