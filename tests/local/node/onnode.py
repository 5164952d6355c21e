"""Pods on the tests' node, seen through the real API server, and words to speak of them."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from millpond.local.cluster.embedded import Cluster, NodeSpec

from waiting import eventually

Json = dict[str, Any]
NODE = NodeSpec(
    "agent-1",
    cpu="2",
    memory="4Gi",
    labels={"millpond.dev/pool": "tried"},
    images={"known.dev/app": ["sh", "-c"]},
)


class Pods:
    """Pods of one namespace on the tests' node."""

    def __init__(self, cluster: Cluster, client: httpx.Client, namespace: str) -> None:
        self.cluster, self.namespace, self.client = cluster, namespace, client
        self.path = f"/api/v1/namespaces/{namespace}"

    def create(self, *containers: Json, **spec: Any) -> str:
        """The name of a new pod, bound to the node already."""
        name = f"p-{secrets.token_hex(4)}"
        ground: Json = {"nodeName": NODE.name, "automountServiceAccountToken": False}
        ground |= {"terminationGracePeriodSeconds": 1, "containers": list(containers)}
        body = {"metadata": {"name": name, "labels": {"side": "left"}}, "spec": ground | spec}
        self.client.post(f"{self.path}/pods", json=body).raise_for_status()
        return name

    def get(self, name: str) -> Json:
        answer = self.client.get(f"{self.path}/pods/{name}")
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def exists(self, name: str) -> bool:
        return self.client.get(f"{self.path}/pods/{name}").status_code == httpx.codes.OK

    def delete(self, name: str, grace_s: int | None = None) -> None:
        body = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        self.client.request("DELETE", f"{self.path}/pods/{name}", json=body).raise_for_status()

    def until(self, name: str, predicate: Callable[[Json], Any], why: str, timeout_s: float = 20) -> Json:
        """The pod, once it is so."""

        def so() -> Json | None:
            pod = self.get(name)
            return pod if predicate(pod) else None

        found = eventually(so, timeout_s, f"{name}: {why}")
        assert found
        return found

    def until_gone(self, name: str, timeout_s: float = 20) -> None:
        eventually(lambda: not self.exists(name), timeout_s, f"{name} is gone")

    def folder(self, name: str) -> Path:
        """Where the node keeps the pod; its home is in there."""
        return self.cluster.state_dir / "nodes" / NODE.name / "pods" / self.get(name)["metadata"]["uid"]

    def logs(self, name: str, *options: str) -> str:
        return self.cluster.kubectl("logs", name, f"--namespace={self.namespace}", *options)

    def events(self, name: str) -> set[str]:
        listed = self.client.get(
            f"{self.path}/events", params={"fieldSelector": f"involvedObject.name={name}"}
        )
        return {event["reason"] for event in listed.json()["items"]}


def container(*command: str, name: str = "main", **more: Any) -> Json:
    return {"name": name, "image": "none", "command": list(command), **more}


def shell(script: str, **more: Any) -> Json:
    return container("sh", "-c", script, **more)


def status_of(pod: Json, name: str = "main") -> Json:
    """The status of a container; empty before there is one."""
    found = pod.get("status", {}).get("containerStatuses", []) + pod.get("status", {}).get(
        "initContainerStatuses", []
    )
    return next((s for s in found if s["name"] == name), {})


def waiting(pod: Json, name: str = "main") -> Json:
    found: Json = status_of(pod, name).get("state", {}).get("waiting", {})
    return found


def terminated(pod: Json, name: str = "main") -> Json:
    found: Json = status_of(pod, name).get("state", {}).get("terminated", {})
    return found


def running(pod: Json, name: str = "main") -> bool:
    return "running" in status_of(pod, name).get("state", {})


def condition(pod: Json, kind: str = "Ready") -> Json:
    """A condition of the pod; empty when it has none."""
    return next((c for c in pod.get("status", {}).get("conditions", []) if c["type"] == kind), {})


def is_ready(pod: Json) -> bool:
    return condition(pod).get("status") == "True"


def touching(action: str) -> Json:
    """An exec probe or hook: whether a file is in the pod's home."""
    return {"exec": {"command": ["test", "-e", action]}}
