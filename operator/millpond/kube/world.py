"""Everything the cycle knows of the cluster: one cache per resource, grouped once a cycle."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millpond.api.names import LABEL_APP
from millpond.kube import objects, paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api
from millpond.kube.objects import Node, Pod, ReplicaSet

Raw = dict[str, Any]


class World:
    """Seven caches from LIST/WATCH; until all are ``synced`` nothing may be decided."""

    def __init__(self, api: Api, *, on_change: Callable[[], None], watch_stuck_s: float = 120.0) -> None:
        """``watch_stuck_s``: watches prove that they live at least twice in this time."""
        watch_s, grace_s = min(50.0, watch_stuck_s / 2.4), min(10.0, watch_stuck_s / 12)

        def cache(path: str, keep: Callable[[Raw], Any], selector: str | None = None) -> Reflector[Any]:
            return Reflector(
                api, path, selector, keep=keep, on_change=on_change, watch_s=watch_s, grace_s=grace_s
            )

        self.apps: Reflector[Raw] = cache(paths.elasticapps(), objects.custom)
        self.policies: Reflector[Raw] = cache(paths.slapolicies(), objects.custom)
        self.pools: Reflector[Raw] = cache(paths.dynamicpools(), objects.custom)
        self.editions: Reflector[Raw] = cache(paths.editions(), objects.custom)
        self.replicasets: Reflector[ReplicaSet] = cache(paths.replicasets(), objects.replicaset, LABEL_APP)
        self.pods: Reflector[Pod] = cache(paths.pods(), objects.pod, LABEL_APP)
        self.nodes: Reflector[Node] = cache(paths.nodes(), objects.node)

    @property
    def reflectors(self) -> Mapping[str, Reflector[Any]]:
        return {
            "elasticapps": self.apps,
            "slapolicies": self.policies,
            "dynamicpools": self.pools,
            "editions": self.editions,
            "replicasets": self.replicasets,
            "pods": self.pods,
            "nodes": self.nodes,
        }

    @property
    def synced(self) -> bool:
        return all(r.store.synced for r in self.reflectors.values())

    def holdings(self) -> "dict[str, Holdings]":
        """What belongs to each app, by owner UID: a label can be forged, an owner cannot."""
        found: dict[str, Holdings] = defaultdict(Holdings)
        app_uid = {key: raw["metadata"]["uid"] for key, raw in self.apps.store.items().items()}
        editions_by_uid: dict[str, str] = {}
        for raw in self.editions.store.items().values():
            app = f"{raw['metadata']['namespace']}/{raw['spec']['app']}"
            if _controller(raw) == app_uid.get(app, ""):
                found[app].editions[raw["spec"]["edition"]] = raw
                editions_by_uid[raw["metadata"]["uid"]] = app
        sets_by_uid: dict[str, ReplicaSet] = {}
        for rs in self.replicasets.store.items().values():
            app_of = editions_by_uid.get(rs.owner_uid or "")
            if app_of == rs.app:
                found[app_of].sets[rs.edition] = rs
                sets_by_uid[rs.uid] = rs
        for pod in self.pods.store.items().values():
            owner = sets_by_uid.get(pod.owner_uid or "")
            if owner is not None and owner.app == pod.app and owner.edition == pod.edition:
                found[owner.app].pods.append(pod)
        return found


def _controller(raw: Raw) -> str | None:
    owners: Iterable[Raw] = raw["metadata"].get("ownerReferences") or ()
    return next((str(o["uid"]) for o in owners if o.get("controller")), None)


@dataclass(slots=True)
class Holdings:
    """One app's editions (raw, by edition name), ReplicaSets (by edition name) and pods."""

    editions: dict[str, Raw] = field(default_factory=dict)
    sets: dict[str, ReplicaSet] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)

    def pods_of(self, edition: str) -> list[Pod]:
        return [p for p in self.pods if p.edition == edition]
