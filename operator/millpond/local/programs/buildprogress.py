"""What a build of minutes shows: the program, what the compiler is at, the time so far."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import Progress as Display
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from millpond.local.download import Progress

_LINE_EVERY_S = 20.0


class BuildProgress:
    """A live line per program on a terminal; elsewhere a plain line when something starts, ends, or takes long."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._live = sys.stderr.isatty()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        activity = TextColumn("[dim]{task.fields[activity]}")
        self._display = Display(*columns, activity, console=Console(stderr=True), disable=not self._live)
        self._task = TaskID(0)
        self._what = ""
        self._started_s = self._told_s = 0.0

    def start(self, what: str) -> None:
        self._what, self._started_s = what, time.monotonic()
        self._task = self._display.add_task(f"building {what}", total=1, activity="")
        self._tell(f"building {what}")

    def activity(self, line: str) -> None:
        """`line` is what the compiler printed: a module it fetches or a package it compiles."""
        self._display.update(self._task, activity=line[-60:])
        if time.monotonic() - self._told_s > _LINE_EVERY_S:
            self._tell(f"building {self._what}: {self._elapsed_s()} s, at {line}")

    def done(self) -> None:
        self._display.update(self._task, completed=1, activity="")
        self._tell(f"built {self._what} in {self._elapsed_s()} s")

    def _elapsed_s(self) -> int:
        return round(time.monotonic() - self._started_s)

    def _tell(self, line: str) -> None:
        self._told_s = time.monotonic()
        if not self._live:
            self._progress(line)

    def __enter__(self) -> "BuildProgress":
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._display.stop()
