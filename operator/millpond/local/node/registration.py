"""The Node object and its Lease: how Kubernetes knows this node, and that it lives."""

import asyncio
import logging
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from millpond.clock import Clock, rfc3339
from millpond.local.node.api import UNREACHABLE, Api, Json, StatusError
from millpond.local.node.config import NodeConfig

log = logging.getLogger(__name__)
_LEASE_DURATION_S = 40
_RENEW_S = 10.0
_RETRY_S = 1.0
_STATUS_S = 300.0  # the longest that the Node's status goes unwritten
_NOT_FOUND = 404
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PRESSURES = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "process nodes take the machine's memory as given"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "process nodes take the machine's disk as given"),
    "PIDPressure": ("KubeletHasSufficientPID", "process nodes take the machine's process ids as given"),
}


class Registration:
    """Keeps the Node object (made again when somebody deletes it) and renews the Lease until cancelled."""

    def __init__(self, config: NodeConfig, api: Api, clock: Clock, port: int) -> None:
        self._config, self._api, self._clock, self._port = config, api, clock, port
        self._node = f"/api/v1/nodes/{config.name}"
        self._leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        self._written: Json | None = None
        self._written_s = 0.0

    async def run(self) -> None:
        while True:
            try:
                uid = await self._register()
                await self._renew(uid)
            except (StatusError, *UNREACHABLE) as e:
                log.warning("node %s: %s; again in %g s", self._config.name, e, _RETRY_S)
                await asyncio.sleep(_RETRY_S)
            else:
                await asyncio.sleep(_RENEW_S)

    async def _register(self) -> str:
        """The Node's uid; writes only when it lacks something or the last word is five minutes old."""
        try:
            found = await self._api.get(self._node)
        except StatusError as e:
            if e.status != _NOT_FOUND:
                raise
            found = await self._api.create(
                "/api/v1/nodes", {"metadata": self._metadata(), "status": self._status()}
            )
            log.info("node %s registered", self._config.name)
            self._written_s = self._clock()
        labels = self._metadata()["labels"]
        if not labels.items() <= found["metadata"].get("labels", {}).items():
            await self._api.patch(self._node, {"metadata": {"labels": labels}})
        if self._clock() - self._written_s >= _STATUS_S or not self._is_told(found["status"]):
            await self._api.patch(f"{self._node}/status", {"status": self._status(found["status"])})
            self._written_s = self._clock()
        return str(found["metadata"]["uid"])

    def _is_told(self, status: Json) -> bool:
        mine = self._status()
        ready = {c["type"]: c["status"] for c in status.get("conditions", ())}
        return all(status.get(field) == mine[field] for field in mine if field != "conditions") and all(
            ready.get(c["type"]) == c["status"] for c in mine["conditions"]
        )

    def _metadata(self) -> Json:
        system = {
            "kubernetes.io/hostname": self._config.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _architecture(),
        }
        return {"name": self._config.name, "labels": system | dict(self._config.labels)}

    def _status(self, before: Json | None = None) -> Json:
        return {
            "capacity": allocatable(self._config),
            "allocatable": allocatable(self._config),
            "addresses": [
                {"type": "InternalIP", "address": self._config.address},
                {"type": "Hostname", "address": self._config.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "nodeInfo": _node_info(),
            "conditions": self._conditions({c["type"]: c for c in (before or {}).get("conditions", ())}),
        }

    def _conditions(self, before: dict[str, Json]) -> list[Json]:
        now = rfc3339(self._clock())
        found = []
        for kind, status, (reason, message) in (
            *((kind, "False", why) for kind, why in _PRESSURES.items()),
            ("Ready", "True", ("KubeletReady", "the process node runs pods")),
        ):
            old = before.get(kind, {})
            since = old["lastTransitionTime"] if old.get("status") == status else now
            found.append(
                {"type": kind, "status": status, "reason": reason, "message": message}
                | {"lastHeartbeatTime": now, "lastTransitionTime": since}
            )
        return found

    async def _renew(self, node_uid: str) -> None:
        name = self._config.name
        now = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid}
        lease = {
            "metadata": {"name": name, "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": _LEASE_DURATION_S, "renewTime": now},
        }
        try:
            await self._api.patch(f"{self._leases}/{name}", lease, "application/merge-patch+json")
        except StatusError as e:
            if e.status != _NOT_FOUND:
                raise
            await self._api.create(self._leases, lease)


def allocatable(config: NodeConfig) -> dict[str, str]:
    return {"cpu": config.cpu, "memory": config.memory, "pods": str(config.pods)}


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def _node_info() -> Json:
    return {
        "architecture": _architecture(),
        "operatingSystem": "linux",
        "osImage": "processes",
        "kernelVersion": platform.release(),
        "containerRuntimeVersion": f"process://{version('millpond')}",
        "kubeletVersion": f"v1.37.0-millpond.{version('millpond')}",
        "kubeProxyVersion": "",
        "bootID": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "machineID": "",
        "systemUUID": str(os.getuid()),
    }
