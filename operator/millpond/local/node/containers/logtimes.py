"""When a log grew: what `--timestamps` and `--since` go by, and the place where a log that is too long is cut.

Processes write their logs themselves, so that output goes on while no agent runs; lines therefore have the time at
which the agent noticed them (within half a second).
"""

import asyncio
import os
import shutil
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from millpond.clock import Clock, rfc3339

_PERIOD_S = 0.5
_LONGEST_BYTES = 10 * 1024 * 1024  # as a kubelet's default


class LogTimes:
    """Marks of one log: at which time it had grown to which size."""

    def __init__(self, log: Path) -> None:
        self._file = log.with_suffix(".times")
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        marks = [line.split() for line in lines]
        self._at_s = [float(at) for at, _ in marks]
        self._sizes = [int(size) for _, size in marks]

    @property
    def size(self) -> int:
        return self._sizes[-1] if self._sizes else 0

    def add(self, at_s: float, size: int) -> None:
        self._at_s.append(at_s)
        self._sizes.append(size)
        with self._file.open("a") as marks:
            marks.write(f"{at_s:.3f} {size}\n")

    def forget(self) -> None:
        self._at_s, self._sizes = [], []
        self._file.unlink(missing_ok=True)

    def offset_since(self, at_s: float) -> int:
        """Where the output begins that was noticed at or after ``at_s``."""
        first = bisect_left(self._at_s, at_s)
        return self._sizes[first - 1] if first else 0

    def time_of(self, offset: int, now_s: float) -> float:
        """When the byte at ``offset`` was noticed; what is not noticed yet is from now."""
        mark = bisect_right(self._sizes, offset)
        return self._at_s[mark] if mark < len(self._at_s) else now_s


class LogKeeper:
    """Notes the growth of the logs that are written now, and cuts those above 10 MiB (keeping the part before)."""

    def __init__(self, writing: Callable[[], Iterable[Path]], clock: Clock) -> None:
        self._writing, self._clock = writing, clock
        self._known: dict[Path, LogTimes] = {}

    async def run(self) -> None:
        while True:
            self.note()
            await asyncio.sleep(_PERIOD_S)

    def note(self) -> None:
        logs = {log for log in self._writing() if log.exists()}
        self._known = {log: self._known.get(log) or LogTimes(log) for log in logs}
        for log, times in self._known.items():
            size = log.stat().st_size
            if size > times.size:
                times.add(self._clock(), size)
            if size > _LONGEST_BYTES:
                shutil.copyfile(log, log.with_suffix(".before"))
                os.truncate(log, 0)  # its writers append, so they go on at the start
                times.forget()


async def stamped(
    blocks: AsyncIterator[bytes], begin: int, times: LogTimes, now: Clock
) -> AsyncIterator[bytes]:
    """The same output, from ``begin`` on in its log, with a time before each line."""
    offset, rest = begin, b""
    async for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield _stamp(times, offset, now) + line + b"\n"
            offset += len(line) + 1
    if rest:
        yield _stamp(times, offset, now) + rest


def _stamp(times: LogTimes, offset: int, now: Clock) -> bytes:
    return rfc3339(times.time_of(offset, now())).encode() + b" "
