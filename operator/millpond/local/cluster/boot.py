"""Bringing a control plane up: its programs in order, until the API server says that it is ready."""

import ssl
import time

import httpx

from millpond.local.cluster.plane import ControlPlane
from millpond.local.errors import ClusterError
from millpond.local.pki import pair
from millpond.local.processes.processes import Processes
from millpond.local.record import Record

STORAGE = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_READY_S = 120.0


def start(plane: ControlPlane, processes: Processes, remembered: Record) -> None:
    """Raises ClusterError when a program ends or the API server isn't ready within two minutes."""
    argv = {
        "etcd": plane.etcd(durable=not remembered.foreground),
        "kube-apiserver": plane.apiserver(audit=remembered.audit),
        "kube-controller-manager": plane.controller_manager(node_grace_s=remembered.node_grace_s),
        "kube-scheduler": plane.scheduler(),
    }
    for program in STORAGE:
        processes.start(program, [remembered.programs[program], *argv[program]])
    _wait_ready(plane, processes)
    for program in CONTROLLERS:
        processes.start(program, [remembered.programs[program], *argv[program]])


def is_running(processes: Processes) -> bool:
    """Whether all four programs run: with fewer, the cluster is broken."""
    return all(processes.alive(program) for program in (*STORAGE, *CONTROLLERS))


def is_ready(plane: ControlPlane) -> bool:
    """Whether the API server, its certificate verified, says that it is ready."""
    with httpx.Client(verify=_trust(plane), trust_env=False, timeout=5.0) as client:
        try:
            return client.get(f"{plane.server}/readyz").is_success
        except httpx.TransportError:
            return False


def _wait_ready(plane: ControlPlane, processes: Processes) -> None:
    deadline = time.monotonic() + _READY_S
    while not is_ready(plane):
        processes.check(STORAGE)
        if time.monotonic() > deadline:
            log = processes.get("kube-apiserver")
            raise ClusterError(f"kube-apiserver isn't ready after {_READY_S:.0f} s:\n{log.log_tail()}")
        time.sleep(0.1)


def _trust(plane: ControlPlane) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(plane.ca))
    admin = pair(plane.pki, "admin")
    context.load_cert_chain(admin.certificate, admin.key)
    return context
