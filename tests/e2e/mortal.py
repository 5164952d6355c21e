"""An operator that dies again and again: right after a write, before it hears of its success."""

from collections.abc import Callable
from dataclasses import dataclass, field

from millpond.api.names import GATE, LABEL_APP, LEASE, NAMESPACE, RETIRE_ANNOTATION

from e2e.product import Product, Raw
from kube.fault_proxy import FaultProxy, Seen
from waiting import eventually


@dataclass
class Mortal:
    """All its API traffic passes the proxy. Once doomed, it is killed after each write of another kind."""

    product: Product
    proxy: FaultProxy
    deaths: list[str] = field(
        default_factory=list
    )  # the writes after which it was killed: PATCH pods/status …

    def doom(self, app: str, mark: "Callable[[Seen], str] | None" = None) -> None:
        """From now on it dies once for every kind of write (or other ``mark``, if not "") of this app or the pool."""
        marked = mark or kind_of

        def strike(seen: Seen) -> None:
            write = marked(seen)
            if write and concerns(seen, app) and write not in self.deaths:
                self.deaths.append(write)
                assert self.product.operator is not None
                self.product.operator.kill()

        self.deaths.clear()
        self.proxy.after_write(strike)

    def spare(self) -> None:
        self.proxy.after_write(lambda _seen: None)

    def until(self, reached: Callable[[], object], timeout_s: float, why: str) -> None:
        """Start it again whenever it has died, until ``reached``."""

        def look() -> object:
            assert self.product.operator is not None
            if not self.product.operator.alive:
                self.revive()
            return reached()

        eventually(look, timeout_s, f"{why}, after deaths {self.deaths}")

    def revive(self) -> None:
        """At once: its Lease, which nobody can renew any more, need not run out."""
        released = '{"spec": {"holderIdentity": ""}}'
        self.product.cluster.kubectl("patch", "lease", LEASE, "-n", NAMESPACE, "--type=merge", "-p", released)
        self.product.spawn_operator(kubeconfig=self.proxy.kubeconfig)


def kind_of(seen: Seen) -> str:
    """PATCH pods/status, POST editions …"""
    parts = seen.path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces":
        parts = parts[2:]
    return f"{seen.verb} {'/'.join([parts[0], *parts[2:]])}"


def deed_of(seen: Seen) -> str:
    """The kind of write and what it changes, so that each step of a long way is one of its own."""
    body = seen.json()
    if not isinstance(body, dict):
        return kind_of(seen)
    rollout = body.get("status", {}).get("rollout") or {}
    about = {
        "step": "/".join(str(rollout[k]) for k in ("phase", "step") if k in rollout),
        "replicas": body.get("spec", {}).get("replicas"),
        "retire": RETIRE_ANNOTATION in (body.get("metadata", {}).get("annotations") or {}),
        "gate": [c["status"] for c in body.get("status", {}).get("conditions", ()) if c.get("type") == GATE],
    }
    told = " ".join(f"{k}={v}" for k, v in about.items() if v not in (None, "", False, []))
    what = f"{kind_of(seen)} {told}".strip()
    return f"{what} of {seen.path.removesuffix('/status').split('/')[-1]}" if told else what


def turn_of(seen: Seen) -> str:
    """The same of what a swap goes on by: what is made, each order, each victim and each step; "" of all else."""
    deed = deed_of(seen)
    turns = ("step=", "replicas=", "retire=")
    return deed if seen.verb == "POST" or any(turn in deed for turn in turns) else ""


def concerns(seen: Seen, app: str) -> bool:
    if "/events" in seen.path or "/leases" in seen.path:
        return False
    text = seen.body.decode() if seen.verb == "POST" else seen.path
    return f"/{app}" in text or f'"{app}-' in text or "/dynamicpools/" in text


def end_state(product: Product, namespace: str, app: str) -> Raw:
    """What is there of an app, without what differs from run to run: names, times, decisions on the way."""
    items = product.get("editions,replicasets,pods", "-n", namespace, "-l", f"{LABEL_APP}={app}")["items"]
    status = product.app(namespace, app).get("status", {})
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions", [])}
    conditions.pop("SLAMet", None)  # depends on whether there was load
    return {
        "objects": sorted(str(_of_object(item, app)) for item in items),
        "conditions": conditions,
        **{k: status.get(k) for k in ("replicas", "servers", "edition", "goal", "observedGeneration")},
    }


def _of_object(item: Raw, app: str) -> Raw:
    meta, spec, status = item["metadata"], item["spec"], item.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return {
        "kind": item["kind"],
        "name": meta["name"].removeprefix(app) if item["kind"] != "Pod" else "",
        "labels": {k: v.replace(app, "") for k, v in meta["labels"].items()},
        "annotations": sorted(meta.get("annotations", {})),
        "owners": [o["kind"] for o in meta["ownerReferences"]],
        "replicas": (spec.get("replicas"), status.get("replicas"), status.get("readyReplicas")),
        "state": status.get("state"),
        "serving": (conditions.get(GATE), conditions.get("Ready")),
        "leaving": "deletionTimestamp" in meta,
    }


def victims(proxy: FaultProxy, app: str) -> set[str]:
    """The pods of the app that were ever told to retire."""
    return {
        seen.path
        for seen in proxy.writes()
        if f"/pods/{app}-" in seen.path and _annotation(seen, RETIRE_ANNOTATION) is not None
    }


def orders(proxy: FaultProxy, app: str) -> list[int]:
    """The numbers of servers that were ordered for the app, in order."""
    sets = [s for s in proxy.writes() if s.verb == "PATCH" and f"/replicasets/{app}-" in s.path]
    return [seen.json()["spec"]["replicas"] for seen in sets if "replicas" in seen.json().get("spec", {})]


def _annotation(seen: Seen, name: str) -> object:
    body = seen.json()
    return body["metadata"].get("annotations", {}).get(name) if isinstance(body, dict) else None
