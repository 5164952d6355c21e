"""Everything the cycle knows of the cluster: one cache per resource, grouped once a cycle.

With chosen namespaces there is one cache per resource and namespace, and nothing is read anywhere else but what is
cluster-wide by nature: policies, pools and nodes.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from millpond.api.names import LABEL_APP
from millpond.control.observe import grants, objects, places
from millpond.control.observe.grants import Namespace
from millpond.control.observe.nodes import PodOnNode, node, pod_on_node
from millpond.control.observe.objects import Pod, ReplicaSet
from millpond.control.observe.places import Joint, Place
from millpond.kube import paths
from millpond.kube.cache import Reflector, key_of
from millpond.kube.client import Api
from millpond.kube.raw import entries, fields, text
from millpond_policies.world.nodes import Node

Raw = dict[str, Any]
_ORDER = (
    "elasticapps",
    "slapolicies",
    "dynamicpools",
    "editions",
    "replicasets",
    "pods",
    "nodes",
    "namespaces",
)


_RUNS_ON = "status.phase!=Succeeded,status.phase!=Failed"


def _others(api: Api, watch_s: float, grace_s: float) -> Reflector[PodOnNode]:
    """Pods that are not ours, for the room they take: nobody waits for them, and none of them wakes the cycle."""
    return Reflector(
        api,
        paths.pods(),
        f"!{LABEL_APP}",
        field_selector=_RUNS_ON,
        keep=pod_on_node,
        watch_s=watch_s,
        grace_s=grace_s,
    )


class Watched(Protocol):
    """What health looks at."""

    @property
    def synced(self) -> bool: ...

    def age_s(self, now_s: float) -> float: ...


class World:
    """Caches from LIST/WATCH; until all are ``synced`` nothing may be decided."""

    def __init__(
        self,
        api: Api,
        *,
        on_change: Callable[[], None],
        watch_stuck_s: float = 120.0,
        namespaces: Sequence[str] = (),
    ) -> None:
        """``watch_stuck_s``: watches prove that they live at least twice in this time; ``namespaces`` none: all."""
        watch_s, grace_s = min(50.0, watch_stuck_s / 2.4), min(10.0, watch_stuck_s / 12)

        def cache(path: str, keep: Callable[[Raw], Any], selector: str | None = None) -> Reflector[Any]:
            return Reflector(
                api, path, selector, keep=keep, on_change=on_change, watch_s=watch_s, grace_s=grace_s
            )

        def inside(namespace: str | None) -> dict[str, Reflector[Any]]:
            return {
                "elasticapps": cache(paths.elasticapps(namespace), objects.custom),
                "editions": cache(paths.editions(namespace), objects.custom),
                "replicasets": cache(paths.replicasets(namespace), objects.replicaset, LABEL_APP),
                "pods": cache(paths.pods(namespace), objects.pod, LABEL_APP),
            }

        self.places = tuple(Place(api, name, inside, on_change) for name in namespaces)
        self._whole = {} if namespaces else inside(None)
        self._namespaces: Reflector[Namespace] | None = None
        if not namespaces:
            self._namespaces = cache(paths.namespaces(), grants.namespace)

        def namespaced(resource: str) -> Reflector[Any] | Joint[Any]:
            return self._whole[resource] if self._whole else Joint(resource, self.places)

        self.apps: Reflector[Raw] | Joint[Raw] = namespaced("elasticapps")
        self.policies: Reflector[Raw] = cache(paths.slapolicies(), objects.custom)
        self.pools: Reflector[Raw] = cache(paths.dynamicpools(), objects.custom)
        self.editions: Reflector[Raw] | Joint[Raw] = namespaced("editions")
        self.replicasets: Reflector[ReplicaSet] | Joint[ReplicaSet] = namespaced("replicasets")
        self.pods: Reflector[Pod] | Joint[Pod] = namespaced("pods")
        self.nodes: Reflector[Node] = cache(paths.nodes(), node)
        self.others = None if namespaces else _others(api, watch_s, grace_s)

    @property
    def reflectors(self) -> Mapping[str, Reflector[Any]]:
        """Those that read the whole cluster."""
        found: dict[str, Reflector[Any]] = {
            **self._whole,
            "slapolicies": self.policies,
            "dynamicpools": self.pools,
            "nodes": self.nodes,
        }
        if self._namespaces is not None:
            found["namespaces"] = self._namespaces
        return {name: found[name] for name in _ORDER if name in found}

    @property
    def watches(self) -> Mapping[str, Watched]:
        """Every watch by its name, for health."""
        whole = {name: reflector.store for name, reflector in self.reflectors.items()}
        if self.others is not None:
            whole["pods of others"] = self.others.store
        return {**whole, **places.watches(self.places, [n for n in _ORDER if n not in whole])}

    @property
    def synced(self) -> bool:
        whole = all(r.store.synced for r in self.reflectors.values())
        return whole and all(place.settled for place in self.places)

    @property
    def watched(self) -> frozenset[str]:
        """Of the chosen namespaces, those that can be read."""
        return frozenset(place.namespace for place in self.places if place.watched)

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """What admins say of each namespace; chosen ones are asked for again every half a minute."""
        if self._namespaces is not None:
            return self._namespaces.store.items()
        found = ((place.namespace, place.about) for place in self.places)
        return {name: about for name, about in found if about is not None}

    def start(self) -> None:
        for reflector in self._started:
            reflector.start()
        for place in self.places:
            place.start()

    async def stop(self) -> None:
        for place in self.places:
            await place.stop()
        for reflector in self._started:
            await reflector.stop()

    @property
    def _started(self) -> list[Reflector[Any]]:
        return [*self.reflectors.values(), *([self.others] if self.others is not None else [])]

    def holdings(self) -> "dict[str, Holdings]":
        """What belongs to each app, by owner UID: a label can be forged, an owner cannot."""
        found: dict[str, Holdings] = defaultdict(Holdings)
        app_uid = {key: raw["metadata"]["uid"] for key, raw in self.apps.store.items().items()}
        editions_by_uid: dict[str, str] = {}
        for raw in self.editions.store.items().values():
            spec = fields(raw.get("spec"))
            app, name = f"{raw['metadata']['namespace']}/{spec.get('app')}", text(spec.get("edition"))
            if name is not None and _controller(raw) == app_uid.get(app, ""):
                found[app].editions[name] = raw
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

    def again(self, held: "Holdings") -> "Holdings":
        """The same objects as they are known now, with our own writes; who has come meanwhile is not among them."""
        editions, sets = self.editions.store.items(), self.replicasets.store.items()
        pods = self.pods.store.items()
        named = {name: editions.get(key_of(raw)) for name, raw in held.editions.items()}
        owned = {name: sets.get(rs.key) for name, rs in held.sets.items()}
        return Holdings(
            editions={name: raw for name, raw in named.items() if raw is not None},
            sets={name: rs for name, rs in owned.items() if rs is not None},
            pods=[pod for old in held.pods if (pod := pods.get(old.key)) is not None],
        )


def _controller(raw: Raw) -> str | None:
    owners = (o for o in entries(raw["metadata"].get("ownerReferences")) if o.get("controller"))
    return next((str(o.get("uid")) for o in owners), None)


@dataclass(slots=True)
class Holdings:
    """One app's editions (raw, by edition name), ReplicaSets (by edition name) and pods."""

    editions: dict[str, Raw] = field(default_factory=dict)
    sets: dict[str, ReplicaSet] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)

    def pods_of(self, edition: str) -> list[Pod]:
        return [p for p in self.pods if p.edition == edition]
