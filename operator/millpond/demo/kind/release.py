"""Millpond on a cluster, from its chart: installed, looked at, removed."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from millpond import paths
from millpond.api.names import NAMESPACE
from millpond.demo.kind.cluster import NODE_PORT, KindCluster
from millpond.demo.kind.images import repository
from millpond.demo.requests import loading
from millpond.demo.stage.stack import Say
from millpond.local.errors import KubectlError

NAME, ROUTER = "millpond", "millpond-router"
_ASK = (
    "import os, urllib.request as r;"
    "print(r.urlopen(f'http://{os.environ[\"POD_IP\"]}:8001/stats/prometheus', timeout=5).read().decode())"
)
_READY_S = 180


@dataclass(frozen=True, slots=True)
class Release:
    """The one that is called `millpond`, in its usual namespace."""

    cluster: KindCluster

    def helm(self, *argv: str, timeout_s: float = 300) -> str:
        """Raises StackError."""
        where = ("--namespace", NAMESPACE, "--kubeconfig", str(self.cluster.kubeconfig))
        return self.cluster.tools.run("helm", *argv, *where, timeout_s=timeout_s)

    @property
    def exists(self) -> bool:
        listed = json.loads(self.helm("list", "--all", "--filter", f"^{NAME}$", "--output", "json"))
        return bool(listed)

    def install(self, say: Say, *options: str) -> None:
        """Operator and routers are ready. Raises StackError or KubectlError."""
        say(f"helm install {NAME} {paths.chart().name} --namespace {NAMESPACE}")
        began_s = time.monotonic()
        self.helm("install", NAME, str(paths.chart()), "--create-namespace", *self.values, *options)
        self.wait()
        say(f"operator and routers are ready ({time.monotonic() - began_s:.0f} s)")

    @property
    def values(self) -> Sequence[str]:
        """What is different from the chart's own."""
        chosen = {
            "image.repository": repository(self.cluster.tools),
            "router.service.type": "NodePort",
            "router.service.nodePort": str(NODE_PORT),
        }
        return [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]

    def wait(self) -> None:
        """Until what is to run runs, and what was replaced is gone."""
        for deployment in ("deployment/millpond-operator", f"deployment/{ROUTER}"):
            self.cluster.kubectl(
                "rollout", "status", deployment, "--namespace", NAMESPACE, f"--timeout={_READY_S}s"
            )

    def uninstall(self, say: Say) -> None:
        say(f"helm uninstall {NAME}")
        self.helm("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout", "2m")

    @property
    def node_port(self) -> int:
        found = self.cluster.kubectl("get", "service", ROUTER, "--namespace", NAMESPACE, "-o", "json")
        ports: list[dict[str, Any]] = json.loads(found)["spec"]["ports"]
        return int(next(port["nodePort"] for port in ports if port["name"] == "http"))

    def routers(self) -> Sequence[str]:
        """The names of their pods, of those that end as well."""
        pods = json.loads(self.cluster.kubectl("get", "pods", "--namespace", NAMESPACE, "-o", "json"))[
            "items"
        ]
        return [
            pod["metadata"]["name"]
            for pod in pods
            if pod["metadata"]["name"].startswith(f"{ROUTER}-") and pod["status"]["phase"] == "Running"
        ]

    def routed(self) -> int | None:
        """Requests to apps that all routers have counted so far; None when one does not answer."""
        counts = [self.routed_by(pod) for pod in self.routers()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def routed_by(self, pod: str) -> int | None:
        ask = ("exec", pod, "--namespace", NAMESPACE, "--", "python3", "-c", _ASK)
        try:
            return loading.counted(self.cluster.kubectl(*ask))
        except KubectlError:
            return None
