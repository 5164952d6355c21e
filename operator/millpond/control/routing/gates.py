"""The readiness gate of servers: True means that every router sends it requests."""

from millpond.api.names import GATE
from millpond.clock import Clock, rfc3339
from millpond.control.observe.objects import Pod
from millpond.control.observe.world import World
from millpond.control.routing.routes import is_draining
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.router.config import AppRoutes


def wanted_gate(server: Pod, published: AppRoutes | None, confirmed: bool) -> bool | None:
    """What the gate should say; None to leave it (not known yet, or the pod is on its way out anyway).

    >>> # containers ready, endpoint published, all routers acknowledged -> True; retiring -> False
    """
    if server.deleting or server.finished:
        return None
    if is_draining(server) or not server.containers_ready:
        return False if server.gate else None
    routed = published is not None and any(
        e.address == server.address and not e.draining for r in published.editions for e in r.endpoints
    )
    if not routed:
        return False if server.gate else None
    return True if confirmed else None


async def set_gate(api: Api, world: World, server: Pod, value: bool, clock: Clock) -> None:
    condition = {
        "type": GATE,
        "status": str(value),
        "lastTransitionTime": rfc3339(clock()),
        "reason": "Routed" if value else "NotRouted",
        "message": "every router sends requests here" if value else "no new requests are sent here",
    }
    body = {"metadata": {"uid": server.uid}, "status": {"conditions": [condition]}}
    path = paths.pods(server.namespace, server.name, "status")
    world.pods.store.own(await api.patch(path, body, kind="strategic"))
