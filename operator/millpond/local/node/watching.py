"""LIST and WATCH of the pods that are bound to this node."""

import asyncio
import logging
from collections.abc import Callable

from millpond.local.node.api import UNREACHABLE, Api, Json, StatusError

log = logging.getLogger(__name__)
_RETRY_S = (0.2, 0.5, 1.0, 2.0)
_WATCH_S = "290"


async def watch_pods(
    api: Api, node: str, *, listed: Callable[[list[Json]], None], seen: Callable[[str, Json], None]
) -> None:
    """Until cancelled: ``listed`` gets all pods after each LIST, ``seen`` each ADDED, MODIFIED or DELETED after it.

    When a watch fails or its version is too old (410), it lists again.
    """
    selector, failures = f"spec.nodeName={node}", 0
    while True:
        try:
            answer = await api.get("/api/v1/pods", fieldSelector=selector)
            listed(answer["items"])
            version = answer["metadata"]["resourceVersion"]
            failures = 0
            while True:
                version = await _watch(api, selector, version, seen)
        except (StatusError, *UNREACHABLE) as e:
            log.info("pods of node %s are listed again: %s", node, e)
            await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1


async def _watch(api: Api, selector: str, version: str, seen: Callable[[str, Json], None]) -> str:
    """One watch until the server ends it; the version to go on from."""
    parameters = {"fieldSelector": selector, "resourceVersion": version, "timeoutSeconds": _WATCH_S}
    async for event in api.watch("/api/v1/pods", **parameters):
        version = event["object"]["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            seen(event["type"], event["object"])
    return version
