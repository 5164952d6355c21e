"""Helm 3 and Helm 4: from the PATH, else the user's cache, else built from Go modules of pinned versions."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from millpond.local import folders, lock, versions
from millpond.local.download import Progress
from millpond.local.programs.buildprogress import BuildProgress

from chart import gotool

MAJORS = (3, 4)
_OLDEST = (3, 18)
_PATIENCE_S = 3600.0
_HERE = Path(__file__).parent
Values = Mapping[str, Any]


class HelmError(Exception):
    """What Helm said when it refused."""


@dataclass(frozen=True)
class Helm:
    program: Path
    version: tuple[int, int]

    def render(self, chart: Path, values: Values, *, namespace: str) -> str:
        """All documents of a release `millpond`, hooks and tests too, but not the CRDs. Raises HelmError."""
        return self._of("template", "millpond", chart, values=values, more=[f"--namespace={namespace}"])

    def lint(self, chart: Path, values: Values) -> str:
        """What it has to say about the chart with these values. Raises HelmError."""
        return self._of("lint", chart, values=values, more=["--strict"])

    def _of(self, command: str, *args: str | Path, values: Values, more: list[str]) -> str:
        with _file_of(values) as file:
            kubernetes = f"--kube-version={versions.KUBERNETES}"
            return self._run(command, *map(str, args), f"--values={file}", kubernetes, *more)

    def _run(self, *args: str) -> str:
        with tempfile.TemporaryDirectory(prefix="millpond-helm-") as home:
            environ = {**os.environ, **{f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}}
            argv = [self.program, *args]
            done = subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise HelmError(f"helm {args[0]}: {done.stdout}{done.stderr}")
        return done.stdout


@cache
def find(major: int, progress: Progress) -> Helm:
    """Helm of this major version, of the pinned version where the PATH has none. Raises gotool.NoGo."""
    if found := shutil.which("helm"):
        version = _version(Path(found))
        if version[0] == major:
            assert version >= _OLDEST, f"{found} is of version {version}: the chart needs {_OLDEST} or later"
            return Helm(Path(found), version)
    program = _cached(major)
    program.parent.mkdir(parents=True, exist_ok=True)
    with lock.held(program.parent, patience_s=_PATIENCE_S):
        if not program.exists():
            _build(major, program, progress)
    return Helm(program, _version(program))


def pinned(major: int) -> str:
    """The version that is built, such as v3.22.0."""
    found = re.search(rf"\thelm\.sh/helm/v{major} (v\S+)", (_module(major) / "go.mod").read_text())
    assert found is not None
    return found[1]


def _version(program: Path) -> tuple[int, int]:
    said = subprocess.run([program, "version", "--short"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    assert found is not None, f"{program} says it is of version {said!r}"
    return int(found[1]), int(found[2])


def _cached(major: int) -> Path:
    return folders.programs().parent / f"helm-{pinned(major)}" / "helm"


def _module(major: int) -> Path:
    return _HERE / f"helm{major}"


def _build(major: int, program: Path, progress: Progress) -> None:
    """Some minutes with nothing cached."""
    draft, module = program.with_suffix(".new"), f"helm.sh/helm/v{major}"
    flags = f"-ldflags=-s -w -X {module}/internal/version.version={pinned(major)}"
    argv = ["build", "-v", "-trimpath", "-mod=readonly", "-buildvcs=false", flags, f"-o={draft}"]
    with BuildProgress(progress) as display:
        display.start(f"helm {pinned(major)}")
        gotool.run([*argv, f"{module}/cmd/helm"], _module(major), display.activity)
        draft.replace(program)
        display.done()


@contextmanager
def _file_of(values: Values) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        yield file.name


if __name__ == "__main__":
    print(find(int(sys.argv[1]), lambda line: print(line, file=sys.stderr)).program)
