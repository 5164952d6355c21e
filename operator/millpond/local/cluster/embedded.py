"""An embedded cluster: etcd, API server, controller-manager, scheduler and process nodes on this machine."""

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from millpond.local import folders, kubeconfig, lock, ports, record
from millpond.local.cluster import boot, chart
from millpond.local.cluster.nodes import Nodes
from millpond.local.cluster.plane import ControlPlane
from millpond.local.download import Progress
from millpond.local.errors import ClusterError, KubectlError, PortTaken
from millpond.local.nodespec import NodeSpec
from millpond.local.processes import reaper
from millpond.local.processes.guard import Guard
from millpond.local.processes.process import Process
from millpond.local.processes.processes import Processes
from millpond.local.programs import programs
from millpond.local.record import Record

__all__ = ["Cluster", "ClusterError", "KubectlError", "NodeSpec", "Process"]

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_GRACE_S = 10.0
_POD_GRACE_S = 5.0
_PORT_ATTEMPTS = 3
_ONE_NODE = (NodeSpec("node-1"),)


class Cluster:
    """A running cluster, made by `start` or `attach`. As a context manager it stops at the block's end."""

    def __init__(self, folder: Path, remembered: Record, progress: Progress) -> None:
        self.state_dir = folder
        self._record = remembered
        self._progress = progress
        self._plane = ControlPlane(remembered.name, folder, remembered.ports)
        self._processes = Processes(folder, remembered)
        self._nodes = Nodes(self._plane, remembered, self._processes, self.kubectl)
        self._guard: Guard | None = None

    @classmethod
    def start(
        cls,
        name: str = "default",
        *,
        foreground: bool = True,
        nodes: Sequence[NodeSpec] | None = None,
        audit: bool = True,
        node_grace_s: int = 16,
        progress: Progress = print,
    ) -> "Cluster":
        """Start a cluster and wait until its nodes are ready.

        A foreground cluster ends with this process, however that ends, and leaves nothing behind. Any other
        lives until `stop` and keeps its data: started again, it goes on with them. `nodes`: by default those
        that it had, or one. A node is lost when it was silent for `node_grace_s`. Raises ClusterError.
        """
        _check_place(name)
        found = programs.find(progress)
        folder = folders.clusters() / name
        with lock.held(folder) as lock_fd:
            remembered = _remembered(folder, name, foreground=foreground)
            remembered.audit, remembered.node_grace_s = audit, node_grace_s
            remembered.programs = {program: str(path) for program, path in found.items()}
            folder.mkdir(mode=0o700, exist_ok=True)  # keys and secrets are below
            cluster = cls(folder, remembered, progress)
            if foreground:
                cluster._guard = Guard.start(remembered.id, folder, lock_fd)
            try:
                cluster._boot(nodes)
            except BaseException:
                cluster._end(delete=foreground)
                raise
        return cluster

    @classmethod
    def attach(cls, name: str = "default", *, progress: Progress = print) -> "Cluster":
        """The cluster of this name that runs already. Raises ClusterError when there is none."""
        folder = folders.clusters() / name
        remembered = record.load(folder)
        if remembered is None or not reaper.members(remembered.id):
            raise ClusterError(
                f"no cluster {name} is running: start it with `millpond cluster up --name {name}`"
            )
        return cls(folder, remembered, progress)

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def server(self) -> str:
        return self._plane.server

    @property
    def ca_file(self) -> Path:
        return self._plane.ca

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._plane.kubeconfig("admin")

    @property
    def operator_kubeconfig(self) -> Path:
        """The operator's own identity; exists once the chart is installed."""
        return self._plane.kubeconfig("operator")

    @property
    def audit_log(self) -> Path | None:
        return self._plane.audit_log() if self._record.audit else None

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl prints, as administrator. Raises KubectlError with what it complains about."""
        argv = [self._record.programs["kubectl"], f"--kubeconfig={self.kubeconfig}", *args]
        done = subprocess.run(argv, input=stdin or "", capture_output=True, text=True)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def install_chart(self) -> None:
        """Custom resources, admission and RBAC of the chart, and the operator's kubeconfig."""
        chart.install(self.kubectl)
        self._record.chart = True
        self._write_operator_kubeconfig()
        record.save(self.state_dir, self._record)

    def start_node(self, spec: NodeSpec) -> None:
        """Start the agent of a new, stopped or failed node, and wait until the node is ready."""
        self._nodes.start(spec)
        self._nodes.wait_ready(spec.name)

    def stop_node(self, name: str) -> None:
        """End the node's agent by SIGTERM; its pods keep running."""
        self._nodes.stop(name)

    def fail_node(self, name: str) -> None:
        """The machine dies: its agent and its pods are killed."""
        self._nodes.fail(name)

    def run(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, *, log: bool = True
    ) -> Process:
        """Start any process that must end with the cluster; without `log` it writes to our own output."""
        return self._processes.start(name, argv, env, log=log)

    def stop(self, *, delete: bool | None = None) -> None:
        """End all its processes. `delete` its data, too: by default if it is a foreground cluster."""
        if self._guard is not None:
            self._end(delete=True)
            return
        with lock.held(self.state_dir):
            self._end(delete=bool(delete))

    def release(self) -> None:
        """Let a foreground cluster live on without us, until `millpond cluster down`."""
        if self._guard is not None:
            self._record.foreground = False
            record.save(self.state_dir, self._record)
            self._guard.release()
            self._guard = None

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def _boot(self, nodes: Sequence[NodeSpec] | None) -> None:
        self._progress(f"starting the control plane of cluster {self.name}")
        self._start_control_plane()
        if self._record.chart:
            self._write_operator_kubeconfig()
        self._start_nodes(nodes if nodes is not None else list(self._record.nodes.values()) or _ONE_NODE)

    def _start_control_plane(self) -> None:
        for _ in range(_PORT_ATTEMPTS):
            ports.complete(self._record.ports)
            self._plane.write_identities()
            record.save(self.state_dir, self._record)
            try:
                return boot.start(self._plane, self._processes, self._record)
            except PortTaken as error:
                self._progress(f"{error}\ntrying other ports")
                reaper.end(self._record.id)
                self._record.ports.clear()
        raise ClusterError(f"no free ports found in {_PORT_ATTEMPTS} attempts")

    def _start_nodes(self, specs: Sequence[NodeSpec]) -> None:
        for gone in self._record.nodes.keys() - {spec.name for spec in specs}:
            self._nodes.forget(gone)
        for spec in specs:
            self._nodes.start(spec)
        for spec in specs:
            self._progress(f"waiting for node {spec.name}")
            self._nodes.wait_ready(spec.name)

    def _write_operator_kubeconfig(self) -> None:
        token = chart.operator_token(self.kubectl)
        path = self.operator_kubeconfig
        kubeconfig.with_token(path, cluster=self.name, server=self.server, ca=self.ca_file, token=token)

    def _end(self, *, delete: bool) -> None:
        """Further processes first, while there is an API server to talk to; pods; the control plane last."""
        running = {process.name: process for process in self._processes}
        own = [running.pop(name) for name in (*boot.STORAGE, *boot.CONTROLLERS) if name in running]
        self._processes.stop(list(running.values()), _GRACE_S)
        reaper.end(
            self._record.id, grace_s=0 if delete else _POD_GRACE_S, spare=[process.pid for process in own]
        )
        for process in reversed(own):
            process.stop(0 if delete else _GRACE_S)
        reaper.end(self._record.id)
        self._clean_up(delete)

    def _clean_up(self, delete: bool) -> None:
        if self._guard is not None:
            self._guard.finish()
            self._guard = None
        if delete:
            shutil.rmtree(self.state_dir, ignore_errors=True)
        else:
            self._record.processes.clear()
            record.save(self.state_dir, self._record)


def _check_place(name: str) -> None:
    if sys.platform != "linux":
        raise ClusterError("an embedded cluster needs Linux: elsewhere use kind (https://kind.sigs.k8s.io)")
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"name {name!r}: up to 40 lower-case letters, digits and hyphens, such as `default`"
        )


def _remembered(folder: Path, name: str, *, foreground: bool) -> Record:
    """The record to go on with: that of the stopped or broken cluster in `folder`, or a new one."""
    before = record.load(folder)
    if before is not None:
        if boot.is_running(Processes(folder, before)):
            raise ClusterError(
                f"cluster {name} is running already: `millpond cluster down --name {name}` stops it"
            )
        reaper.end(before.id)
    if before is not None and before.foreground:
        shutil.rmtree(folder)
        before = None
    if before is not None and foreground:
        raise ClusterError(f"cluster {name} keeps data of its own: choose another name, or delete it first")
    fresh = before or Record(name=name, id="", foreground=foreground)
    fresh.id = f"{name}-{secrets.token_hex(6)}"
    fresh.processes.clear()
    return fresh
