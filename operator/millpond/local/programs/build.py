"""Programs built from Go modules, for machines that reach a Go module proxy but no release server."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from millpond.local import versions
from millpond.local.download import Progress
from millpond.local.errors import ClusterError
from millpond.local.programs.buildprogress import BuildProgress

MODULE = Path(__file__).parent / "controlplane"
_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}
_NEEDED = (1, 26)
_WHERE = "https://go.dev/dl"
_TAIL_LINES = 15


def build(programs: Sequence[str], to: Path, progress: Progress) -> None:
    """Build `programs` into the folder `to`; minutes each when nothing is cached. Raises ClusterError."""
    with _module_copy() as module, BuildProgress(progress) as display:
        go = _go(module)
        for number, program in enumerate(programs, 1):
            display.start(f"{program} ({number} of {len(programs)})")
            _build(go, program, module, display)
            (module / program).chmod(0o755)
            shutil.move(module / program, to / f".{program}.new")
            os.replace(to / f".{program}.new", to / program)
            display.done()


@contextmanager
def _module_copy() -> Iterator[Path]:
    """go.mod and go.sum in a folder that can be written: ours may be part of an installed package."""
    with tempfile.TemporaryDirectory(prefix="millpond-build-") as name:
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(MODULE / file, Path(name) / file)
        yield Path(name)


def _go(module: Path) -> str:
    """The Go compiler. Raises ClusterError when there is none, or it is too old and can't fetch a newer one."""
    wanted = f"Go {'.'.join(map(str, _NEEDED))} or later is needed to build the control plane ({_WHERE})"
    if (go := shutil.which("go")) is None:
        raise ClusterError(f"{wanted}; there is no `go` on the PATH")
    asked = subprocess.run([go, "env", "GOVERSION"], cwd=module, capture_output=True, text=True)
    found = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    if found is None or (int(found[1]), int(found[2])) < _NEEDED:
        raise ClusterError(f"{wanted}; {go} says: {(asked.stdout or asked.stderr).strip()}")
    return go


def _build(go: str, program: str, module: Path, display: BuildProgress) -> None:
    argv = [go, "build", "-v", "-trimpath", "-mod=readonly", "-buildvcs=false", f"-ldflags={_ldflags()}"]
    argv += ["-o", str(module / program), _PACKAGES[program]]
    environ = {**os.environ, "CGO_ENABLED": "0"}
    with subprocess.Popen(
        argv, cwd=module, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        lines: list[str] = []
        for line in running.stderr:
            lines = [*lines, line.rstrip()][-_TAIL_LINES:]
            display.activity(line.strip())
    if running.returncode != 0:
        raise ClusterError(f"{program} can't be built from Go modules:\n" + "\n".join(lines))


def _ldflags() -> str:
    major, minor = versions.minor().split(".")
    version = "k8s.io/component-base/version"
    values = {"gitVersion": versions.KUBERNETES, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {version}.{name}={value}" for name, value in values.items())])
