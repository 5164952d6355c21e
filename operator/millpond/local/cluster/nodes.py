"""The nodes of a cluster: their agents started, stopped, and failed like a machine that loses its power."""

import time
from pathlib import Path

from millpond.clock import from_rfc3339
from millpond.local import blocks, nodespec, record
from millpond.local.cluster.chart import Kubectl
from millpond.local.cluster.plane import ControlPlane
from millpond.local.errors import ClusterError, KubectlError
from millpond.local.nodespec import NodeFiles, NodeSpec
from millpond.local.processes import reaper
from millpond.local.processes.process import Process
from millpond.local.processes.processes import Processes
from millpond.local.record import Record

_READY_S = 90.0
_READY = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
_RENEWED = "-o=jsonpath={.spec.renewTime}"


class Nodes:
    def __init__(
        self, plane: ControlPlane, remembered: Record, processes: Processes, kubectl: Kubectl
    ) -> None:
        self._plane = plane
        self._record = remembered
        self._processes = processes
        self._kubectl = kubectl

    def start(self, spec: NodeSpec) -> Process:
        """Start the agent of a new node, or of one that was stopped or failed."""
        self._record.nodes[spec.name] = spec
        block = self._block(spec.name)
        argv = nodespec.agent_argv(spec, block, self._files(spec.name, block))
        return self._processes.start(_process(spec.name), argv, {reaper.NODE: spec.name})

    def wait_ready(self, name: str) -> None:
        """Raises ClusterError when the agent ends, or its node isn't Ready within 90 s."""
        deadline = time.monotonic() + _READY_S
        while not self._is_ready(name):
            self._processes.check([_process(name)])
            if time.monotonic() > deadline:
                raise ClusterError(f"node {name} isn't Ready after {_READY_S:.0f} s: see {self._log(name)}")
            time.sleep(0.2)

    def stop(self, name: str) -> None:
        """End the agent; its pods keep running, and the next agent of this node takes them over."""
        self._processes.get(_process(name)).stop()

    def fail(self, name: str) -> None:
        """The machine dies: the agent first, so that it can't report anything, then its pods."""
        self._processes.get(_process(name)).kill()
        reaper.end(self._record.id, name)

    def forget(self, name: str) -> None:
        """A node that this cluster had and has no more."""
        del self._record.nodes[name]
        self._kubectl("delete", "node", name, "--ignore-not-found")

    def _is_ready(self, name: str) -> bool:
        """Ready, and said so by the agent that runs now: an earlier one's word stands until the grace is over."""
        try:
            if self._kubectl("get", "node", name, _READY) != "True":
                return False
            renewed = self._kubectl("get", "lease", name, "--namespace=kube-node-lease", _RENEWED)
        except KubectlError:
            return False
        return bool(renewed) and from_rfc3339(renewed) >= self._processes.get(_process(name)).started_s - 1

    def _block(self, name: str) -> str:
        if name not in self._record.blocks:
            others = [
                known for other in record.all_in(self._plane.folder.parent) for known in other.blocks.values()
            ]
            self._record.blocks[name] = blocks.free_block([*others, *self._record.blocks.values()])
        return self._record.blocks[name]

    def _files(self, name: str, block: str) -> NodeFiles:
        authority = self._plane.authority
        identity = nodespec.client_certificate(authority, name)
        return NodeFiles(
            kubeconfig=self._plane.write_kubeconfig(f"node-{name}", identity),
            folder=self._plane.folder / "nodes" / name,
            serving=nodespec.serving_certificate(authority, name, block),
            client_ca=self._plane.ca,
        )

    def _log(self, name: str) -> Path:
        return self._processes.get(_process(name)).log_path


def _process(node: str) -> str:
    return f"node-{node}"
