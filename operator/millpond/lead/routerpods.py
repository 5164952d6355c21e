"""The routers' pods as the API server sees them: what is known of a router that does not answer by itself.

A router is a pod of the operator's own namespace when its name and the address of its statistics are that pod's. Where
there are no such pods (a laptop), nothing is known here.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from millpond.clock import Clock, now_s
from millpond.control.observe import objects
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api
from millpond.router.xds.liveness import Presence

SELECTOR = "app.kubernetes.io/name=millpond,app.kubernetes.io/component=router"
"""As the chart labels them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPod:
    uid: str
    addresses: frozenset[str]
    node: str | None
    ready: bool
    finished: bool
    ends_s: float | None = None
    """When its grace period is over, once it is being deleted."""


def router_pod(raw: Mapping[str, Any]) -> RouterPod:
    found = objects.pod(raw)
    listed = raw.get("status", {}).get("podIPs") or ()
    return RouterPod(
        uid=found.uid,
        addresses=frozenset(_plain(ip) for ip in (found.address, *(at.get("ip") for at in listed)) if ip),
        node=found.node,
        ready=found.ready,
        finished=found.finished,
        ends_s=found.gone_by_s,
    )


class RouterPods:
    """Knows which router is which pod from when the pod was there, so that it also knows when it is no more."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        node_ready: Callable[[str], bool],
        *,
        clock: Clock = now_s,
        watch_stuck_s: float = 120.0,
    ) -> None:
        """``node_ready``: whether a node of that name is there and ready."""
        self._namespace, self._node_ready, self._clock = namespace, node_ready, clock
        self._uids: dict[tuple[str, str], str] = {}
        self._pods = Reflector(
            api,
            paths.pods(namespace),
            SELECTOR,
            keep=router_pod,
            watch_s=min(50.0, watch_stuck_s / 2.4),
            grace_s=min(10.0, watch_stuck_s / 12),
        )
        self.store = self._pods.store

    def start(self) -> None:
        self._pods.start()

    async def stop(self) -> None:
        await self._pods.stop()

    def follow(self, routers: Iterable[tuple[str, str]]) -> None:
        """Of these, by name and statistics address, find the pods; what is known of others is forgotten."""
        wanted = set(routers)
        self._uids = {router: uid for router, uid in self._uids.items() if router in wanted}
        for name, stats in wanted - self._uids.keys():
            pod = self._pod(name)
            if pod is not None and _host(stats) in pod.addresses:
                self._uids[name, stats] = pod.uid

    def adopt(self, routers: Iterable[tuple[str, str, str]]) -> None:
        """Names, statistics addresses and pods' UIDs that somebody else has found, before these pods went perhaps."""
        self._uids |= {(name, stats): uid for name, stats, uid in routers if uid}

    def uid(self, name: str, stats: str) -> str:
        """Of a router's pod; empty when none is known."""
        return self._uids.get((name, stats), "")

    def presence(self, name: str, stats: str) -> Presence:
        if not self.store.synced:
            return Presence.HERE  # nothing is known, least of all that it is gone
        uid, pod = self._uids.get((name, stats)), self._pod(name)
        if uid is None:
            return Presence.UNSEEN
        if pod is None or pod.uid != uid or pod.finished:
            return Presence.GONE
        if pod.addresses and _host(stats) not in pod.addresses:
            return Presence.GONE  # its sandbox was made anew
        return Presence.HERE if self._gets_traffic(pod) else Presence.DOUBTFUL

    def _pod(self, name: str) -> RouterPod | None:
        return self.store.get(f"{self._namespace}/{name}")

    def _gets_traffic(self, pod: RouterPod) -> bool:
        ending = pod.ends_s is not None and self._clock() > pod.ends_s
        return pod.ready and not ending and pod.node is not None and self._node_ready(pod.node)


def _host(stats: str) -> str:
    return _plain(stats.rpartition(":")[0].strip("[]"))


def _plain(address: str) -> str:
    """One text for one address, however it is written."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address
