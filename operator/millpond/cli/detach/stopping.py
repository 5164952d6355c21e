"""Stopping the operator for good, and knowing that it has stopped: its Lease is free."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

from millpond.api.names import LEASE
from millpond.clock import steady_s
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import NotFound

DEPLOYMENT = "millpond-operator"
_LOOK_S, _DEFAULT_S, _STOPS_WITHIN_S = 0.5, 15.0, 120.0
_TAKEN_WITHIN_S = 2.0
"""An operator that stands by looks at the Lease more often."""


class StillRuns(Exception):
    """An operator acts, and we cannot or may not stop it; the text says what would be right."""


async def holder(api: Api, namespace: str) -> str | None:
    """Who holds the operator's Lease and renews it; None when nobody does.

    A holder is believed to be gone when it has not renewed for as long as it holds: by our clock, not by its own.
    """
    first, since_s = await _lease(api, namespace), steady_s()
    while first is not None and first["spec"].get("holderIdentity"):
        if steady_s() - since_s > float(first["spec"].get("leaseDurationSeconds") or _DEFAULT_S):
            return None
        await asyncio.sleep(_LOOK_S)
        now = await _lease(api, namespace)
        if now is None or now["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]:
            first = first if now is not None else None
            continue
        return str(now["spec"].get("holderIdentity") or "") or None
    return None


async def known(api: Api, namespace: str) -> bool:
    """Whether there is, or ever was, an operator in this namespace."""
    return await _deployment(api, namespace) is not None or await _lease(api, namespace) is not None


async def ordered(api: Api, namespace: str) -> int | None:
    """How many operators the Deployment orders; None when there is no Deployment."""
    deployment = await _deployment(api, namespace)
    return None if deployment is None else int(deployment["spec"].get("replicas", 1))


async def namespaces(api: Api, namespace: str) -> frozenset[str]:
    """Those that the deployed operator sees to; none: all."""
    deployment = await _deployment(api, namespace)
    if deployment is None:
        return frozenset()
    containers = deployment["spec"]["template"]["spec"]["containers"]
    typed = [word for c in containers for word in (*(c.get("command") or ()), *(c.get("args") or ()))]
    words = [part for word in typed for part in word.split("=", 1)]
    return frozenset(after for word, after in pairwise(words) if word == "--watch-namespace")


async def stop(api: Api, namespace: str, say: Callable[[str], None]) -> None:
    """Order no operator, and return when none acts any more. Raises StillRuns."""
    deployed = await ordered(api, namespace)
    if deployed:
        await api.patch(paths.deployments(namespace, DEPLOYMENT), {"spec": {"replicas": 0}})
        say(f"stopped the operator: Deployment {namespace}/{DEPLOYMENT} is scaled to 0")
    until_s = steady_s() + _STOPS_WITHIN_S
    while (who := await _leader(api, namespace)) is not None:
        if deployed is None:
            raise StillRuns(
                f"the operator {who} holds Lease {namespace}/{LEASE}, and there is no Deployment "
                f"{namespace}/{DEPLOYMENT} to stop it by: end that process, then try again"
            )
        if steady_s() > until_s:
            raise StillRuns(f"{who} still holds Lease {namespace}/{LEASE} after {_STOPS_WITHIN_S:.0f} s")
    say(f"no operator acts: Lease {namespace}/{LEASE} is free; the routers keep what they have")


async def _leader(api: Api, namespace: str) -> str | None:
    """Who holds the Lease; None only when no other operator that stood by has taken it meanwhile, either."""
    who = await holder(api, namespace)
    if who is None and await _lease(api, namespace) is not None:
        await asyncio.sleep(_TAKEN_WITHIN_S)
        who = await holder(api, namespace)
    return who


async def _deployment(api: Api, namespace: str) -> Object | None:
    try:
        return await api.get(paths.deployments(namespace, DEPLOYMENT))
    except NotFound:
        return None


async def _lease(api: Api, namespace: str) -> Object | None:
    try:
        return await api.get(paths.leases(namespace, LEASE))
    except NotFound:
        return None
