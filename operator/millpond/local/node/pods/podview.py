"""A pod as its containers see it: the newest object, its address and its place on disk."""

from dataclasses import dataclass
from pathlib import Path

from millpond.local.node.api import Json
from millpond.local.node.pods.downward import Facts

DEFAULT_GRACE_S = 30


@dataclass(slots=True, kw_only=True)
class PodView:
    json: Json
    ip: str
    host_ip: str
    folder: Path
    allocatable: dict[str, str]

    @property
    def uid(self) -> str:
        return str(self.json["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        return str(self.json["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.json["metadata"]["name"])

    @property
    def path(self) -> str:
        """Of the object in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    @property
    def hostname(self) -> str:
        return str(self.json["spec"].get("hostname") or self.name)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def grace_s(self) -> float:
        given = self.json["spec"].get("terminationGracePeriodSeconds")
        return float(DEFAULT_GRACE_S if given is None else given)

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.json["metadata"]

    @property
    def deletion_grace_s(self) -> float:
        given = self.json["metadata"].get("deletionGracePeriodSeconds")
        return self.grace_s if given is None else float(given)

    def facts(self) -> Facts:
        return Facts(pod=self.json, pod_ip=self.ip, host_ip=self.host_ip, allocatable=self.allocatable)
