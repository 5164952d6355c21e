"""Memory of an operator process that has nothing to do: on a real control plane, no apps, no routers, ready."""

import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import httpx
import psutil

from millpond.local.cluster.embedded import Cluster

from tests.bench.figures import Figure
from tests.waiting import eventually

IDLE_CYCLES = 10  # after the start, a second each


def figures() -> Iterable[Figure]:
    with tempfile.TemporaryDirectory(prefix="mp-") as folder:
        os.environ["XDG_STATE_HOME"] = folder  # the user's own clusters are none of our business
        with Cluster.start(
            f"bench-{secrets.token_hex(3)}", nodes=[], audit=False, progress=_silent
        ) as cluster:
            cluster.install_chart()
            reached = _idle_mib(cluster, Path(folder))
    yield Figure(what="operator: resident memory when idle", goal=150.0, reached=reached, unit="MiB")


def _silent(text: str) -> None:
    pass


def _idle_mib(cluster: Cluster, folder: Path) -> float:
    health = f"127.0.0.1:{_free_port()}"
    argv = [sys.executable, "-m", "millpond", "operator", "--kubeconfig", str(cluster.operator_kubeconfig)]
    argv += ["--xds", f"unix:{folder}/xds", "--health", health, "--prometheus", "http://127.0.0.1:9"]
    process = cluster.run("operator", argv)
    eventually(lambda: httpx.get(f"http://{health}/readyz").status_code == 200, 60, "the operator is ready")
    eventually(lambda: _cycles(health) >= IDLE_CYCLES, 60, "it is idle")
    return float(psutil.Process(process.pid).memory_info().rss / 2**20)


def _cycles(health: str) -> int:
    checks = httpx.get(f"http://{health}/healthz").json()["checks"]
    return int(checks["cycle"]["detail"].split(" ")[0])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
