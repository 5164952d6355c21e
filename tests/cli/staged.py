"""An app in a real API server whose status says what an operator would have written."""

from collections.abc import Mapping
from typing import Any

from millpond.api.kinds.template import template_hash
from millpond.api.names import API_VERSION, EDITION, ELASTICAPP, edition_object

from api.server import Manifest, Server
from waiting import eventually

NAME = "web"
AT = "2026-01-01T00:00:00Z"


def template(image: str = "web:1", *sidecars: str) -> Manifest:
    containers = [{"name": "web", "image": image}, *({"name": s, "image": f"{s}:1"} for s in sidecars)]
    return {"spec": {"containers": containers}}


def manifest(name: str = NAME, **spec: Any) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": ELASTICAPP,
        "metadata": {"name": name},
        "spec": {
            "pool": "default",
            "sla": {"policy": "gold"},
            "servers": {"min": 1, "max": 4},
            "edition": "v1",
            "port": 8080,
            "routes": [{"host": f"{name}.example"}],
            "template": template(),
            **spec,
        },
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> Mapping[str, Any]:
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**told, "lastTransitionTime": AT}


GROWN: Manifest = {
    "at": AT,
    "edition": "v1",
    "action": "Grow",
    "reason": "ForecastAboveCapacity",
    "servers": 2,
    "wanted": 4,
    "needed": 6,
    "limitedBy": "AtCeiling",
    "inputs": {"response_ms": "212", "rate_rps": "82"},
    "refused": [],
    "message": "order 2 more: 2 → 4 servers",
}
READY = condition("Ready", "True", "AsExpected", "at least 1 of its servers get requests")


def progress(phase: str, **rollout: Any) -> Manifest:
    """status.rollout of a canary of v2 after v1."""
    return {
        "edition": "v2",
        "from": "v1",
        "strategy": "Canary",
        "phase": phase,
        "step": 1,
        "steps": 3,
        "weight": 10,
        "servers": 4,
        "startedAt": AT,
        "stepAt": AT,
        "reason": "NextStep",
        "message": "step 1 of 3",
        "needs": None,
        "until": None,
        **rollout,
    }


class Staged:
    """The app, and what we write about it as its administrator and as its operator."""

    def __init__(self, server: Server, name: str = NAME) -> None:
        self.server = server
        self.namespace = server.namespace
        self.name = name

    def create(self, **spec: Any) -> "Staged":
        made = manifest(self.name, **spec)
        eventually(lambda: self.server.create(made), 20, "custom resources are served")
        return self

    @property
    def object(self) -> Manifest:
        return self.server.get(manifest(self.name))

    @property
    def spec(self) -> Manifest:
        spec: Manifest = self.object["spec"]
        return spec

    @property
    def rollout(self) -> Manifest:
        rollout: Manifest = self.spec["rollout"]
        return rollout

    def change(self, **spec: Any) -> None:
        self.server.patch(manifest(self.name), {"spec": spec})

    def tell(
        self,
        rollout: Manifest | None = None,
        *,
        serves: str | None = "v1",
        conditions: tuple[Mapping[str, Any], ...] = (READY,),
        seen: int | None = None,
    ) -> None:
        """Write the status; ``seen``: the generation that it is for, by default the present one."""
        generation = self.object["metadata"]["generation"] if seen is None else seen
        status: Manifest = {
            "observedGeneration": generation,
            "conditions": [{**c, "observedGeneration": generation} for c in conditions],
            "edition": serves,
            "rollout": rollout,
        }
        self.server.patch(manifest(self.name), {"status": status}, part="status")

    def add(self, **status: Any) -> None:
        """More of the status, beside what `tell` wrote."""
        self.server.patch(manifest(self.name), {"status": status}, part="status")

    def keep(self, edition: str, made_from: Manifest, *, state: str = "Retired", owner: str = "") -> None:
        """An Edition as the operator would have made it."""
        app = owner or self.name
        named = {"name": edition_object(self.name, edition), "labels": {"millpond.dev/app": app}}
        spec = {
            "app": app,
            "edition": edition,
            "template": made_from,
            "templateHash": template_hash(made_from),
        }
        made = {"apiVersion": API_VERSION, "kind": EDITION, "metadata": named, "spec": spec}
        self.server.create(made)
        self.server.patch(made, {"status": {"state": state, "replicas": 0}}, part="status")

    def approval(self, edition: str) -> str:
        named = {"kind": EDITION, "metadata": {"name": edition_object(self.name, edition)}}
        annotations = self.server.get(named)["metadata"].get("annotations") or {}
        return str(annotations.get("millpond.dev/approval", ""))

    def delete(self) -> None:
        self.server.delete(manifest(self.name))

    def rolling_out(self, phase: str = "Progressing", **rollout: Any) -> "Staged":
        """v2 is wanted, v1 serves."""
        self.change(edition="v2", template=template("web:2"))
        self.tell(progress(phase, **rollout))
        return self
