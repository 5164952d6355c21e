"""The images of this checkout, built with the engine that runs here."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from image.lockfile import ROOT

_HARDENED = ("--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_BUILD_S = 280


def _run(*argv: str, timeout_s: float = 60) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)


@dataclass(frozen=True, slots=True)
class Image:
    """An image and how to run it as the chart does: no way to write, to the network, or to more rights."""

    engine: str
    name: str

    def run(self, *argv: str, program: str = "", options: tuple[str, ...] = ()) -> str:
        """What it writes; it must end well. `program` instead of the image's own."""
        done = self.attempt(*argv, program=program, options=options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(
        self, *argv: str, program: str = "", options: tuple[str, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        instead = ("--entrypoint", program) if program else ()
        return _run(self.engine, "run", "--rm", *_HARDENED, *options, *instead, self.name, *argv)

    def python(self, code: str, *options: str) -> str:
        """What the image's Python prints, run with the image's environment."""
        return self.run("-c", code, program=self.interpreter, options=options)

    @property
    def interpreter(self) -> str:
        folder = "app" if "sample-app" in self.name else "millpond"
        return f"/opt/{folder}/bin/python3"

    @property
    def config(self) -> dict[str, Any]:
        shown = _run(self.engine, "image", "inspect", "--format", "{{json .Config}}", self.name)
        config: dict[str, Any] = json.loads(shown.stdout)
        return config

    @contextmanager
    def started(self, *argv: str, env: tuple[str, ...] = ()) -> Iterator["Running"]:
        """Runs in the background, with a /tmp; gone at the end."""
        settings = [f"--env={each}" for each in env]
        made = _run(self.engine, "run", "--detach", *_HARDENED, "--tmpfs=/tmp", *settings, self.name, *argv)
        assert made.returncode == 0, made.stderr
        running = Running(self, made.stdout.strip())
        try:
            yield running
        finally:
            _run(self.engine, "rm", "--force", running.container)


@dataclass(frozen=True, slots=True)
class Running:
    image: Image
    container: str

    def get(self, url: str) -> str:
        """Asks from inside. Raises AssertionError when there is no good answer."""
        return self.python(
            f"import urllib.request as r; print(r.urlopen({url!r}, timeout=5).read().decode())"
        )

    def python(self, code: str) -> str:
        """What a second process inside prints. Raises AssertionError when it does not end well."""
        done = _run(self.image.engine, "exec", self.container, self.image.interpreter, "-c", code)
        assert done.returncode == 0, done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        done = _run(self.image.engine, "logs", self.container)
        return done.stdout + done.stderr

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        _run(self.image.engine, "stop", "--time=30", self.container)
        code = _run(self.image.engine, "wait", self.container)
        return int(code.stdout)


@pytest.fixture(scope="session")
def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


@pytest.fixture(scope="session")
def engine() -> str:
    for name in ("docker", "podman"):
        try:
            if _run(name, "info").returncode == 0:
                return name
        except FileNotFoundError:
            continue
    pytest.skip("neither docker nor podman runs here")


@pytest.fixture(scope="session")
def built(engine: str) -> str:
    """The engine, once it has the images of this checkout."""
    done = _run("make", "image", f"ENGINE={engine}", timeout_s=_BUILD_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return engine


@pytest.fixture(scope="session")
def millpond(built: str, version: str) -> Image:
    return Image(built, f"millpond:{version}")


@pytest.fixture(scope="session")
def sample_app(built: str, version: str) -> Image:
    return Image(built, f"millpond.dev/sample-app:{version}")
