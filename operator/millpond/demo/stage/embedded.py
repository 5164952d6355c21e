"""A demo on this machine alone: control plane, process nodes, Prometheus, operator, router, and the examples."""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from millpond import paths
from millpond.demo.requests import loading
from millpond.demo.requests.accounts import Processed, read_ledgers
from millpond.demo.scenario import Scenario
from millpond.demo.stage import prometheus
from millpond.demo.stage.served import NotServed, status, wait_until_served
from millpond.demo.stage.stack import Say, StackError
from millpond.local import folders
from millpond.local.cluster.embedded import Cluster, NodeSpec, Process
from millpond.ports import free_port

_ADDRESS = "127.0.0.1"
_STARTED_S = 60.0


class EmbeddedStack:
    """A running stack; `stop` (or the end of the with block) ends all of it."""

    keeps_books = True

    def __init__(self, cluster: Cluster, scenario: Scenario, say: Say) -> None:
        self.cluster = cluster
        self.operator: Process | None = None
        self.router: Process | None = None
        self.listen, self.stats, self.health = (f"{_ADDRESS}:{port}" for port in _free_ports(3))
        self.prometheus_url: str | None = None
        self._scenario = scenario
        self._say = say
        self._sockets = tempfile.TemporaryDirectory(
            prefix="millpond-"
        )  # short: socket paths end at 107 bytes

    @classmethod
    def start(cls, scenario: Scenario, say: Say) -> "EmbeddedStack":
        """Takes half a minute or so. Raises StackError or an embedded cluster's ClusterError; then nothing is left."""
        name = _name(scenario)
        ledgers = folders.clusters() / name / "ledgers"
        nodes = _nodes(scenario, ledgers)
        cluster = Cluster.start(name, foreground=True, nodes=nodes, progress=say)
        stack = cls(cluster, scenario, say)
        try:
            ledgers.mkdir()
            stack._start_parts()
        except NotServed as error:
            explained = stack.explanation()
            stack.stop()
            raise StackError(f"{error}\n{explained}") from error
        except BaseException:
            stack.stop()
            raise
        return stack

    def _start_parts(self) -> None:
        self.cluster.install_chart()
        self.prometheus_url = prometheus.start(
            self.cluster, router=self.stats, operator=self.health, say=self._say
        )
        self._say("starting the operator and a router")
        self.start_operator()
        self._start_router()
        for path in self._scenario.manifests:
            self._say(f"kubectl apply -f {path.name}")
            self.cluster.kubectl("apply", "-f", str(path))
        wait_until_served(self, self._scenario, self._check, self._say)

    @property
    def folder(self) -> Path:
        return self.cluster.state_dir

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*args, stdin=stdin)

    def processed(self) -> Processed:
        return read_ledgers(self.folder / "ledgers", loading.ID_PREFIX)

    @property
    def url(self) -> str:
        """Where the router listens; the Host header chooses the app."""
        return f"http://{self.listen}/"

    @property
    def xds(self) -> str:
        return f"unix:{self._sockets.name}/xds.sock"

    def start_operator(self) -> Process:
        argv = ["operator", "--kubeconfig", str(self.cluster.operator_kubeconfig), "--xds", self.xds]
        argv += ["--health", self.health]
        if self.prometheus_url:
            argv += ["--prometheus", self.prometheus_url]
        self.operator = self._millpond("operator", argv)
        self._wait(self.operator, lambda: status(f"http://{self.health}/healthz") == 200, "is healthy")
        return self.operator

    def _start_router(self) -> None:
        argv = [
            "router",
            "--name",
            "router-1",
            "--xds",
            self.xds,
            "--listen",
            self.listen,
            "--stats",
            self.stats,
            "--drain-seconds",
            "0",
        ]
        self.router = self._millpond("router", argv)  # listens once it has its first routes

    def _millpond(self, name: str, argv: Sequence[str]) -> Process:
        temporary = {"TMPDIR": self._sockets.name}  # what they leave there goes with us
        return self.cluster.run(name, [sys.executable, "-m", "millpond", *argv], temporary)

    def _wait(self, process: Process, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _STARTED_S
        while not ready():
            if not process.alive or time.monotonic() > deadline:
                ended = "ended" if not process.alive else f"after {_STARTED_S:.0f} s not yet: {what}"
                raise StackError(f"{process.name}: {ended}\n{process.log_tail()}")
            time.sleep(0.1)

    def _check(self) -> None:
        for process in (self.operator, self.router):
            if process and not process.alive:
                raise StackError(f"{process.name}: ended\n{process.log_tail()}")

    def explanation(self) -> str:
        what = ("get", "elasticapp,replicasets,pods", "-n", self._scenario.namespace, "-o", "wide")
        logs = [f"{p.name}:\n{p.log_tail()}" for p in (self.operator, self.router) if p]
        return "\n".join((self.cluster.kubectl(*what), *logs))

    def start_load(self, out: Path, answers: Path) -> Process:
        return self.cluster.run("load", loading.command(self._scenario, self.url, out, answers))

    def routed(self) -> int | None:
        try:
            return loading.counted(httpx.get(f"http://{self.stats}/stats/prometheus", timeout=5).text)
        except httpx.HTTPError:
            return None

    def stop(self) -> None:
        self.cluster.stop()
        self._sockets.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, trace: TracebackType | None) -> None:
        self.stop()


def _name(scenario: Scenario) -> str:
    """Demos side by side must not get into each other's way."""
    return f"demo-{scenario.name}-{secrets.token_hex(2)}"


def _nodes(scenario: Scenario, ledgers: Path) -> tuple[NodeSpec, ...]:
    """With a script the sample application also writes down which requests it works on."""
    books = {"LEDGER_DIR": str(ledgers)} if scenario.script else {}
    images = {name: _program({**settings, **books}) for name, settings in scenario.images.items()}
    labels = {"millpond.dev/pool": "default"}
    return tuple(
        NodeSpec(name, cpu="2", memory="2Gi", labels=labels, images=images) for name in ("node-1", "node-2")
    )


def _program(settings: Mapping[str, str]) -> tuple[str, ...]:
    told = (f"{name}={value}" for name, value in settings.items())
    return ("/usr/bin/env", *told, sys.executable, str(paths.examples() / "sample_app" / "app.py"))


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        found.append(free_port(found))
    return found
