"""The Go compiler, where there is one: builds programs and fetches modules."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

_TAIL_LINES = 15


class NoGo(Exception):
    """There is no Go on this machine."""


def run(args: Sequence[str], module: Path, told: Callable[[str], None] = lambda line: None) -> str:
    """What `go` prints in the folder of a go.mod, `told` line by line. Raises NoGo; a failure is a RuntimeError."""
    if (go := shutil.which("go")) is None:
        raise NoGo("there is no `go` on the PATH")
    with subprocess.Popen(
        [go, *args],
        cwd=module,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            told(line.strip())
    if running.returncode != 0:
        raise RuntimeError(f"go {args[0]} in {module}:\n{''.join(lines[-_TAIL_LINES:])}")
    return "".join(lines)
