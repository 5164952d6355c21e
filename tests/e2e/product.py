"""The whole product on the test cluster: an operator, routers, apps, and load with every request counted."""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from millpond import paths
from millpond.api.names import LEASE, NAMESPACE
from millpond.demo.requests.profile import Profile
from millpond.local.cluster.embedded import Cluster, Process
from millpond.ports import free_port

import asking
from api.server import connect
from e2e import reading
from waiting import eventually

Raw = dict[str, Any]
GOLD = {
    "apiVersion": "millpond.dev/v1alpha1",
    "kind": "SLAPolicy",
    "metadata": {"name": "e2e-gold"},
    "spec": {"goal": {"type": "averageResponseTime", "target": "300ms"}, "importance": 1},
}
POOL = {
    "apiVersion": "millpond.dev/v1alpha1",
    "kind": "DynamicPool",
    "metadata": {"name": "e2e"},
    "spec": {"nodeSelector": {"millpond.dev/pool": "default"}},
}


def elastic_app(namespace: str, name: str = "web", **spec: Any) -> Raw:
    """An app of the sample application: 2 slots × 50 ms, so 40 requests a second and server."""
    return {
        "apiVersion": "millpond.dev/v1alpha1",
        "kind": "ElasticApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "pool": "e2e",
            "sla": {"policy": "e2e-gold"},
            "servers": {"min": 1, "max": 6},
            "edition": "v1",
            "port": 8080,
            "routes": [{"host": f"{name}.{namespace}.test"}],
            "drain": {"timeout": "20s"},
            "template": template(),
            **spec,
        },
    }


def template(**env: str) -> Raw:
    values = {"SLOTS": "2", "SERVICE_TIME_MS": "50", **env}
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    container = {
        "name": "app",
        "image": "sample",
        "command": ["python", str(paths.examples() / "sample_app" / "app.py")],
        "env": [address, *({"name": k, "value": v} for k, v in values.items())],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": 8080},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    return {"spec": {"containers": [container], "automountServiceAccountToken": False}}


@dataclass
class Load:
    """A running or finished load."""

    process: Process
    out: Path

    def open(self) -> int:
        """Requests that had no answer yet at the end of the last second."""
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return int(json.loads(lines[-1]).get("open", 0)) if lines else 0

    def seconds(self) -> int:
        """So many are over."""
        return len(self.out.read_text().splitlines()) - 1 if self.out.exists() else 0

    def end(self) -> Raw:
        """Sends no more: what is to be seen was seen. Its totals."""
        eventually(lambda: self.seconds() > 0, 20, "requests flow")
        self.process.terminate()
        return self.totals()

    def totals(self) -> Raw:
        """Waits until it is over. sent, ok, failed …"""
        eventually(lambda: not self.process.alive, 180, "the load ends")
        last: Raw = json.loads(self.out.read_text().splitlines()[-1])
        assert "sent" in last, self.process.log_tail()
        return last


@dataclass
class Product:
    cluster: Cluster
    folder: Path
    operator: Process | None = None
    routers: dict[str, Process] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    stats: dict[str, str] = field(default_factory=dict)
    _loads: int = 0

    def __post_init__(self) -> None:
        self.xds = f"unix:{self.folder}/xds"
        self.health = free_address()
        self.prometheus = free_address()  # nobody is there, unless a test starts one
        self._http = connect(self.cluster.kubeconfig)

    def start(self) -> None:
        self.start_operator()
        self.start_router("r1")

    def start_operator(self, *options: str, kubeconfig: Path | None = None) -> Process:
        operator = self.spawn_operator(*options, kubeconfig=kubeconfig)
        eventually(lambda: self.healthz().status_code == 200, 30, "the operator is healthy")
        return operator

    def spawn_operator(self, *options: str, kubeconfig: Path | None = None) -> Process:
        """Without waiting for it. ``kubeconfig``: another way to the API server than the direct one."""
        argv = ["operator", "--kubeconfig", str(kubeconfig or self.cluster.operator_kubeconfig)]
        argv += ["--xds", self.xds, "--health", self.health, *options]
        argv += ["--prometheus", f"http://{self.prometheus}"]
        self.operator = self._run("operator", argv)
        return self.operator

    def start_router(self, name: str, *options: str) -> Process:
        listen = self.addresses.setdefault(name, free_address())
        stats = self.stats.setdefault(name, free_address())
        argv = ["router", "--name", name, "--xds", self.xds, "--listen", listen, "--stats", stats]
        argv += ["--accept-seconds", "1", *options]
        self.routers[name] = self._run(name, argv)
        wait_listening(listen, self.routers[name])
        return self.routers[name]

    def end_router(self, name: str) -> None:
        """By SIGTERM, which cuts no request."""
        assert self.routers[name].alive
        self.routers[name].terminate()
        assert self.routers[name].wait(40), f"router {name} has not ended: {self.routers[name].log_tail()}"

    def crash_operator(self) -> None:
        """kill -9; whoever comes next need not wait until its Lease has run out."""
        assert self.operator is not None
        self.operator.kill()
        released = '{"spec": {"holderIdentity": ""}}'
        self.cluster.kubectl("patch", "lease", LEASE, "-n", NAMESPACE, "--type=merge", "-p", released)

    def _run(self, name: str, argv: Sequence[str]) -> Process:
        return self.cluster.run(name, [sys.executable, "-m", "millpond", *argv], {"TMPDIR": str(self.folder)})

    def stop(self) -> None:
        for process in (*self.routers.values(), self.operator):
            if process is not None:
                process.stop()

    def healthz(self) -> httpx.Response:
        return asking.get(f"http://{self.health}/healthz", timeout=5)

    def metric(self, name: str, **labels: str) -> float:
        text = asking.get(f"http://{self.health}/metrics", timeout=5).text
        wanted = [f'{k}="{v}"' for k, v in labels.items()]
        lines = [line for line in text.splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(w in line for w in wanted))

    # -- the cluster

    @property
    def ledgers(self) -> Path:
        """Where the servers write down which requests they worked on."""
        path = self.folder / "ledgers"
        path.mkdir(exist_ok=True)
        return path

    def apply(self, *objects: Mapping[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, *what: str) -> Raw:
        """As `kubectl get` takes it: `get("pods", "-n", "shop")`."""
        return reading.get(self._http, *what)

    def app(self, namespace: str, name: str = "web") -> Raw:
        return self.get("elasticapp", name, "-n", namespace)

    def condition(self, namespace: str, kind: str, name: str = "web") -> tuple[str, str, str]:
        """(status, reason, message); empty strings when it is not there."""
        found = self.app(namespace, name).get("status", {}).get("conditions", [])
        return next(
            ((c["status"], c["reason"], c["message"]) for c in found if c["type"] == kind), ("", "", "")
        )

    def servers(self, namespace: str) -> Raw:
        counts: Raw = self.app(namespace).get("status", {}).get("servers", {})
        return counts

    def pods(self, namespace: str) -> list[Raw]:
        items: list[Raw] = self.get("pods", "-n", namespace)["items"]
        return items

    def ordered(self, namespace: str) -> int:
        sets = self.get("replicasets", "-n", namespace)["items"]
        return sum(rs["spec"]["replicas"] for rs in sets)

    def wait_serving(self, namespace: str, count: int = 1, timeout_s: float = 40) -> None:
        def serving() -> bool:
            found = self.servers(namespace)
            return found.get("ready") == count and found.get("desired") == count

        eventually(serving, timeout_s, f"{count} servers serve in {namespace}")

    # -- requests

    def ask(self, host: str, path: str = "/", router: str = "r1", **more: Any) -> httpx.Response:
        return asking.get(
            f"http://{self.addresses[router]}{path}", headers={"Host": host}, timeout=10, **more
        )

    def load(
        self, host: str, *steps: tuple[float, float], router: str = "r1", arrivals: str = "even"
    ) -> Load:
        """Open-loop load: steps of (seconds, requests a second)."""
        self._loads += 1
        out = self.folder / f"load-{self._loads}.jsonl"
        argv = ["--target", f"http://{self.addresses[router]}/", "--host", host, "--out", str(out)]
        argv += ["--profile", Profile.steps(*steps).to_json(), "--arrivals", arrivals]
        process = self.cluster.run(
            f"load-{self._loads}", [sys.executable, "-m", "millpond.demo.requests.load", *argv]
        )
        return Load(process, out)

    def operator_writes(self, since_line: int = 0) -> list[Raw]:
        """Successful writes of the operator in the API server's audit log, the Lease's left out."""
        assert self.cluster.audit_log is not None
        found = []
        for line in self.cluster.audit_log.read_text().splitlines()[since_line:]:
            entry = json.loads(line)
            if entry["stage"] != "ResponseComplete" or entry["verb"] in ("get", "list", "watch"):
                continue
            about = entry.get("objectRef", {})
            if "millpond-operator" in entry["user"]["username"] and about.get("resource") != "leases":
                told = {"verb": entry["verb"], "code": entry["responseStatus"]["code"]}
                found.append({**told, "dry_run": "dryRun=" in entry["requestURI"], **about})
        return found

    def audit_lines(self) -> int:
        assert self.cluster.audit_log is not None
        return len(self.cluster.audit_log.read_text().splitlines())


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def wait_listening(address: str, router: Process) -> None:
    try:
        eventually(lambda: reachable(address), 30, f"the router listens on {address}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it says: {router.log_tail()}") from error


def reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 1):
        return True
