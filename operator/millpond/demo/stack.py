"""Everything that a demo needs, started: control plane, nodes, Prometheus, operator, router, and the examples."""

import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from millpond.api.names import LABEL_APP
from millpond.cluster import folders
from millpond.cluster.embedded import Cluster, NodeSpec, Process
from millpond.demo import prometheus
from millpond.demo.scenario import Scenario

Say = Callable[[str], None]
_ADDRESS = "127.0.0.1"
_ROUTED = 'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="apps"}'
_STARTED_S = 60.0
_SERVED_S = 90.0
_TIMEOUT_S = 30.0  # of each request
_LONGEST_S = 3600.0  # of a load that is ended
ID_PREFIX = "demo"


class StackError(Exception):
    """A part did not come up; the message has its last words."""


class Stack:
    """A running stack; `stop` (or the end of the with block) ends all of it."""

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
    def start(cls, scenario: Scenario, say: Say) -> "Stack":
        """Takes half a minute or so. Raises StackError or millpond.cluster's ClusterError; then nothing is left."""
        name = _name(scenario)
        ledgers = folders.clusters() / name / "ledgers"
        nodes = scenario.nodes
        if scenario.script:
            nodes = tuple(_keeping_ledgers(node, ledgers) for node in nodes)
        cluster = Cluster.start(name, foreground=True, nodes=nodes, progress=say)
        stack = cls(cluster, scenario, say)
        try:
            ledgers.mkdir()
            stack._start_parts()
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
        self._wait_until_served()

    @property
    def folder(self) -> Path:
        return self.cluster.state_dir

    @property
    def ledgers(self) -> Path:
        """Where servers write down what they worked on."""
        return self.folder / "ledgers"

    @property
    def url(self) -> str:
        """Where the router listens; the Host header chooses the app."""
        return f"http://{self.listen}/"

    @property
    def _stats_url(self) -> str:
        return f"http://{self.stats}/stats/prometheus"

    @property
    def xds(self) -> str:
        return f"unix:{self._sockets.name}/xds.sock"

    def start_operator(self) -> Process:
        argv = ["operator", "--kubeconfig", str(self.cluster.operator_kubeconfig), "--xds", self.xds]
        argv += ["--health", self.health]
        if self.prometheus_url:
            argv += ["--prometheus", self.prometheus_url]
        self.operator = self._millpond("operator", argv)
        self._wait(self.operator, lambda: _status(f"http://{self.health}/healthz") == 200, "is healthy")
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

    def _wait_until_served(self) -> None:
        """The app answers through the router, and all of its first servers are ready: the story begins at rest."""
        self._say("waiting until the app is served")
        deadline = time.monotonic() + _SERVED_S
        while (status := _status(self.url, self._scenario.host)) != 200:
            for process in (self.operator, self.router):
                if process and not process.alive:
                    raise StackError(f"{process.name}: ended\n{process.log_tail()}")
            if time.monotonic() > deadline:
                app = f"{self._scenario.namespace}/{self._scenario.app}"
                answer = f"not served after {_SERVED_S:.0f} s (last answer: {status or 'none'})"
                raise StackError(f"{app} is {answer}\n{self._explanation()}")
            time.sleep(0.2)
        pods = ("pods", f"--selector={LABEL_APP}={self._scenario.app}", "-n", self._scenario.namespace)
        self.cluster.kubectl("wait", "--for=condition=Ready", f"--timeout={_SERVED_S:.0f}s", *pods)

    def _explanation(self) -> str:
        what = ("get", "elasticapp,replicasets,pods", "-n", self._scenario.namespace, "-o", "wide")
        logs = [f"{p.name}:\n{p.log_tail()}" for p in (self.operator, self.router) if p]
        return "\n".join((self.cluster.kubectl(*what), *logs))

    def start_load(self, out: Path, answers: Path) -> Process:
        """The load of the scenario in a process of its own; its lines go to `out`, a script's also to `answers`."""
        argv = ["--target", self.url, "--host", self._scenario.host, "--out", str(out)]
        argv += ["--timeout-s", str(_TIMEOUT_S), "--id-prefix", ID_PREFIX]
        if self._scenario.script:
            mix = [(f"--{n.replace('_', '-')}", str(v)) for n, v in asdict(self._scenario.script.mix).items()]
            argv += ["--rate", str(self._scenario.profile.rate_rps(0)), "--seconds", str(_LONGEST_S)]
            argv += ["--answers", str(answers), *(word for option in mix for word in option)]
            return self._python("load", ["millpond.demo.traffic", *argv])
        return self._python(
            "load", ["millpond.demo.load", *argv, "--profile", self._scenario.profile.to_json()]
        )

    def _python(self, name: str, argv: Sequence[str]) -> Process:
        return self.cluster.run(name, [sys.executable, "-m", *argv])

    def routed(self) -> int | None:
        """Requests to apps that the router has counted so far; None when it does not answer."""
        try:
            text = httpx.get(self._stats_url, timeout=5).text
        except httpx.HTTPError:
            return None
        counts = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(_ROUTED)]
        return int(float(counts[0])) if counts else None

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


def _keeping_ledgers(node: NodeSpec, folder: Path) -> NodeSpec:
    """Its images are the sample application, which writes down which requests it works on."""
    tell = ("/usr/bin/env", f"LEDGER_DIR={folder}")
    return replace(node, images={name: (*tell, *argv) for name, argv in node.images.items()})


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((_ADDRESS, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _status(url: str, host: str | None = None) -> int | None:
    try:
        return httpx.get(url, headers={"Host": host} if host else None, timeout=5).status_code
    except httpx.HTTPError:
        return None
