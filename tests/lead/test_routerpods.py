"""What the API server says of routers that are pods: made by hand, so that each can be in any state."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from millpond.kube import paths
from millpond.kube.client import Api
from millpond.lead.routerpods import RouterPods, router_pod
from millpond.local.cluster.embedded import Cluster
from millpond.router.xds.liveness import Presence

from waiting import eventually_async

pytestmark = pytest.mark.integration
NODE, STATS = "router-node", "10.9.8.7:8001"
LABELS = {"app.kubernetes.io/name": "millpond", "app.kubernetes.io/component": "router"}
Raw = dict[str, Any]


@dataclass
class Fleet:
    """A namespace with routers' pods, and what is made of them."""

    cluster: Cluster
    api: Api
    namespace: str
    pods: RouterPods
    lost: set[str] = field(default_factory=set)

    async def make(self, name: str = "r1", ips: tuple[str, ...] = ("10.9.8.7",), **labels: str) -> None:
        """On a node that nobody runs, and ready."""
        container = {"name": "router", "image": "router"}
        meta = {"name": name, "labels": {**LABELS, **labels}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": {"containers": [container], "nodeName": NODE},
        }
        await self.api.create(paths.pods(self.namespace), pod)
        await self.status(name, podIP=ips[0], podIPs=[{"ip": ip} for ip in ips], phase="Running")
        await self.ready(name, True)

    async def status(self, name: str, **status: Any) -> None:
        await self.api.patch(paths.pods(self.namespace, name, "status"), {"status": status})

    async def ready(self, name: str, ready: bool) -> None:
        await self.status(name, conditions=[{"type": "Ready", "status": str(ready)}])

    async def delete(self, name: str = "r1") -> None:
        """At once, as a pod of a lost node is: nobody there confirms its end."""
        how = (f"--namespace={self.namespace}", "--force", "--grace-period=0")
        await asyncio.to_thread(self.cluster.kubectl, "delete", "pod", name, *how)

    async def seen(self, presence: Presence, name: str = "r1", stats: str = STATS) -> None:
        def asked() -> bool:
            self.pods.follow([(name, stats)])
            return self.pods.presence(name, stats) is presence

        await eventually_async(asked, 10, f"{name}@{stats} is seen as {presence}")


@pytest.fixture
async def fleet(cluster: Cluster, api: Api, namespace: str) -> AsyncIterator[Fleet]:
    lost: set[str] = set()
    pods = RouterPods(api, namespace, lambda node: node not in lost)
    pods.start()
    await eventually_async(lambda: pods.store.synced, 10, "the pods are listed")
    yield Fleet(cluster, api, namespace, pods, lost)
    await pods.stop()


async def replaced(fleet: Fleet) -> None:
    await fleet.delete()
    await fleet.make()


async def lose_node(fleet: Fleet) -> None:
    fleet.lost.add(NODE)


@pytest.mark.parametrize(
    ("happens", "presence"),
    [
        pytest.param(Fleet.delete, Presence.GONE, id="is deleted"),
        pytest.param(replaced, Presence.GONE, id="is replaced by one of the same name and address"),
        pytest.param(lambda f: f.status("r1", phase="Failed"), Presence.GONE, id="has failed"),
        pytest.param(
            lambda f: f.status("r1", podIP="10.9.8.9", podIPs=[{"ip": "10.9.8.9"}]),
            Presence.GONE,
            id="has another address, after its machine was started again",
        ),
        pytest.param(lambda f: f.ready("r1", False), Presence.DOUBTFUL, id="is not ready"),
        pytest.param(lose_node, Presence.DOUBTFUL, id="is on a node that is lost"),
        pytest.param(lambda f: f.make("r2", ("10.9.8.8",)), Presence.HERE, id="gets a neighbour"),
    ],
)  # fmt: skip
async def test_a_router_whose_pod(fleet: Fleet, happens: Callable[[Fleet], Any], presence: Presence) -> None:
    await fleet.make()
    await fleet.seen(Presence.HERE)
    await happens(fleet)
    await fleet.seen(presence)


async def test_a_successor_knows_of_a_pod_that_it_never_saw_that_it_is_gone(fleet: Fleet) -> None:
    fleet.pods.adopt([("r1", STATS, "the UID that its predecessor saw"), ("r2", "127.0.0.1:8001", "")])
    assert fleet.pods.presence("r1", STATS) is Presence.GONE
    assert fleet.pods.presence("r2", "127.0.0.1:8001") is Presence.UNSEEN
    fleet.pods.follow([("r1", STATS)])
    assert fleet.pods.uid("r1", STATS) == "the UID that its predecessor saw"
    fleet.pods.follow([])
    assert fleet.pods.uid("r1", STATS) == ""


async def test_a_router_is_no_pod_of_another_name_address_or_kind(fleet: Fleet) -> None:
    await fleet.make()
    await fleet.make("operator", ("10.9.8.6",), **{"app.kubernetes.io/component": "operator"})
    await fleet.seen(Presence.HERE)
    for name, stats in (("r2", STATS), ("r1", "127.0.0.1:8001"), ("operator", "10.9.8.6:8001"), ("", "")):
        fleet.pods.follow([(name, stats)])
        assert fleet.pods.presence(name, stats) is Presence.UNSEEN, (name, stats)


async def test_an_address_is_the_same_however_it_is_written(fleet: Fleet) -> None:
    await fleet.make(ips=("10.9.8.7", "fd00::1:2"))
    await fleet.seen(Presence.HERE, stats="[fd00:0:0:0:0:0:1:2]:8001")
    await fleet.seen(Presence.HERE, stats=STATS)


async def test_before_anything_was_listed_every_router_may_be_there(api: Api, namespace: str) -> None:
    assert RouterPods(api, namespace, lambda node: True).presence("r1", STATS) is Presence.HERE


def test_a_pod_without_a_status_is_read() -> None:
    meta = {"name": "r1", "namespace": "x", "uid": "u"}
    assert router_pod({"metadata": meta}).addresses == frozenset()
