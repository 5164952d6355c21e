"""An API server in memory: what the operator relies on, proven by the contract tests against a real one.

Objects are kept by "resource/namespace/name" and never changed in place, so that histories and forks share them.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from millpond.clock import rfc3339
from millpond.kube.errors import Conflict, Gone, Invalid, NotFound

from memory.clock import Clock
from memory.patches import Raw, copied, merged, selected, strategic, where

_SERVERS = ("name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp")
_GRACE_S = 30


class Change(NamedTuple):
    """``raw`` after it, or as it was last; ``before``: None when it was created."""

    version: int
    type: str
    raw: Raw
    before: Raw | None
    at_s: float

    def seen(self, selector: str | None) -> tuple[str, Raw] | None:
        """As a watch with this selector tells it."""
        was = self.before is not None and selected(self.before, selector)
        matches = self.type != "DELETED" and selected(self.raw, selector)
        if not (was or matches):
            return None
        return "ADDED" if not was else "MODIFIED" if matches else "DELETED", self.raw


@dataclass
class Server:
    clock: Clock = field(default_factory=Clock)
    objects: dict[str, Raw] = field(default_factory=dict)
    writes: list[tuple[str, str, Raw]] = field(default_factory=list)
    """By the operator: verb, key, body. Without dry runs, and without those that were refused."""
    hangs: Callable[[str], bool] = lambda path: False
    """Of which paths writes are not answered: an admission webhook that hangs."""
    drops: frozenset[str] = frozenset()
    """Fields of the status of ElasticApps that its custom resources do not have."""
    version: int = 1_000
    history: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    oldest: int = 1_000
    """Watches from before this version are Gone."""
    made: Counter[str] = field(default_factory=Counter)
    """How many objects of a name there have been."""

    def of(self, namespace: str) -> list[tuple[str, str, Raw]]:
        return [w for w in self.writes if w[1].split("/")[1] == namespace]

    def fork(self, clock: Clock) -> "Server":
        """The same, going its own way from here on."""
        history: dict[str, list[Change]] = defaultdict(list, {k: list(v) for k, v in self.history.items()})
        return Server(
            clock=clock,
            objects=dict(self.objects),
            writes=list(self.writes),
            hangs=self.hangs,
            drops=self.drops,
            version=self.version,
            history=history,
            oldest=self.oldest,
            made=Counter(self.made),
        )

    def load(self, objects: Mapping[str, Raw]) -> None:
        """Exactly these objects, as they are; nobody who watches is told."""
        self.objects = {key: copied(raw) for key, raw in objects.items()}
        self.history.clear()
        self.oldest = self.version

    def all(self, resource: str, namespace: str = "", selector: str | None = None) -> list[Raw]:
        prefix = f"{resource}/{namespace}/" if namespace else f"{resource}/"
        found = (raw for key, raw in self.objects.items() if key.startswith(prefix))
        return [raw for raw in found if selected(raw, selector)]

    def changes(self, resource: str, after: int) -> list[Change]:
        """Later than this version; raises Gone when they are not all known any more."""
        if after < self.oldest:
            raise Gone(f"too old resource version: {after} ({self.oldest})", 410)
        history = self.history[resource]
        return history[bisect_right(history, after, key=lambda change: change.version) :]

    def get(self, path: str) -> Raw:
        key = "/".join(where(path)[:3])
        if key not in self.objects:
            raise NotFound(f'{key} "not found"', 404)
        return self.objects[key]

    def create(self, path: str, body: Raw, *, dry_run: bool = False) -> Raw:
        resource, namespace, _, _ = where(path)
        body = copied(body)
        key = f"{resource}/{namespace}/{body['metadata']['name']}"
        if key in self.objects:
            raise Conflict(f'{key} "already exists"', 409)
        if dry_run:
            return body
        self.made[key] += 1
        uid = key if self.made[key] == 1 else f"{key}#{self.made[key]}"
        meta = {"uid": uid, "creationTimestamp": rfc3339(self.clock()), "generation": 1, **body["metadata"]}
        meta |= {"namespace": namespace} if namespace else {}
        if resource in _WITHOUT_STATUS_AT_FIRST:
            body.pop("status", None)
        return self._store(key, {**body, "metadata": meta}, None)

    def patch(self, path: str, body: Raw, *, kind: str = "merge", dry_run: bool = False) -> Raw:
        resource, namespace, name, sub = where(path)
        key = f"{resource}/{namespace}/{name}"
        if key not in self.objects:
            if kind == "apply":
                return self.create(path, merged({"metadata": {"name": name}}, body), dry_run=dry_run)
            raise NotFound(f'{key} "not found"', 404)
        old = self.objects[key]
        meta = body.get("metadata") or {} if isinstance(body, Mapping) else {}
        if meta.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise Invalid("metadata.uid: field is immutable", 422)
        _check(old, version=meta.get("resourceVersion"))
        new = (strategic if kind == "strategic" else merged)(old, body)
        new = _limited(old, new, resource, sub)
        return new if dry_run else self._replace(key, old, new)

    def delete(
        self, path: str, *, uid: str | None = None, version: str | None = None, at_once: bool = False
    ) -> Raw:
        """Pods that run get their grace period; what has finalizers waits for those."""
        raw = self.get(path)
        _check(raw, uid=uid, version=version)
        key, grace_s = "/".join(where(path)[:3]), self._grace_s(raw, key_resource=where(path)[0])
        if at_once or not (grace_s or raw["metadata"].get("finalizers")):
            return self._remove(key)
        if "deletionTimestamp" in raw["metadata"]:
            return raw
        meta = {**raw["metadata"], "deletionTimestamp": rfc3339(self.clock() + grace_s)}
        return self._store(key, {**raw, "metadata": meta}, raw)

    @staticmethod
    def _grace_s(raw: Raw, key_resource: str) -> float:
        scheduled = key_resource == "pods" and raw.get("spec", {}).get("nodeName")
        return float(raw["spec"].get("terminationGracePeriodSeconds", _GRACE_S)) if scheduled else 0.0

    def _replace(self, key: str, old: Raw, new: Raw) -> Raw:
        if key.startswith("elasticapps/") and self.drops:
            new["status"] = {k: v for k, v in new.get("status", {}).items() if k not in self.drops}
        if new == old:
            return old  # nothing changes, not even the version
        meta = new["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers") and not key.startswith("pods/"):
            return self._remove(key)
        return self._store(key, new, old)

    def _store(self, key: str, raw: Raw, before: Raw | None) -> Raw:
        self.version += 1
        raw = {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self.version)}}
        self.objects[key] = raw
        self._tell(key, "ADDED" if before is None else "MODIFIED", raw, before)
        return raw

    def _remove(self, key: str) -> Raw:
        self.version += 1
        before = self.objects.pop(key)
        raw = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.version)}}
        self._tell(key, "DELETED", raw, before)
        return raw

    def _tell(self, key: str, what: str, raw: Raw, before: Raw | None) -> None:
        resource = key.partition("/")[0]
        self.history[resource].append(Change(self.version, what, raw, before, self.clock()))


_WITHOUT_STATUS_AT_FIRST = frozenset(
    {"elasticapps", "editions", "replicasets", "slapolicies", "dynamicpools"}
)


def _check(raw: Raw, *, uid: str | None = None, version: str | None = None) -> None:
    """Preconditions; None: any will do."""
    for name, wanted in (("uid", uid), ("resourceVersion", version)):
        if wanted is not None and wanted != raw["metadata"].get(name):
            raise Conflict(f"{name} is {raw['metadata'].get(name)}, not {wanted}", 409)


def _limited(old: Raw, new: Raw, resource: str, sub: str) -> Raw:
    """What this path may change: status alone, or all but status; and what only the API server sets."""
    if resource in ("slapolicies", "dynamicpools") and sub not in ("", "status"):
        raise Invalid(f"no subresource {sub}", 404)
    if sub == "status":
        kept = {k: v for k, v in old.items() if k != "status"}
        return kept | ({"status": new["status"]} if "status" in new else {})
    kept_status = {"status": old["status"]} if "status" in old else {}
    found = {k: v for k, v in new.items() if k != "status"} | kept_status
    meta = {k: v for k, v in found["metadata"].items() if k not in _SERVERS}
    meta |= {k: old["metadata"][k] for k in _SERVERS if k in old["metadata"]}
    generation = meta.get("generation")
    if found.get("spec") != old.get("spec") and isinstance(generation, int):
        meta["generation"] = generation + 1
    return {**found, "metadata": meta}


def names(objects: Iterable[Raw]) -> list[str]:
    return [raw["metadata"]["name"] for raw in objects]
