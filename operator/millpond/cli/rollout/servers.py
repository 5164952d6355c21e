"""The servers of each edition while one looks on; nothing when the caller may not see pods."""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from millpond.api.names import LABEL_APP, LABEL_EDITION
from millpond.cli.releases import Releases
from millpond.control.observe.headcount import Servers, count
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Object


@asynccontextmanager
async def watched(releases: Releases) -> AsyncIterator[Callable[[], Mapping[str, Servers]]]:
    logging.getLogger("millpond").setLevel(logging.CRITICAL)  # the display says what is not known
    selector = f"{LABEL_APP}={releases.app}"
    pods: Reflector[Object] = Reflector(
        releases.api, paths.pods(releases.namespace), selector, keep=lambda pod: pod
    )
    pods.start()
    try:
        yield lambda: by_edition(list(pods.store.items().values()))
    finally:
        await pods.stop()


def by_edition(pods: list[Object]) -> Mapping[str, Servers]:
    found: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        found[pod["metadata"]["labels"].get(LABEL_EDITION, "?")].append(pod)
    return {edition: count(theirs, len(theirs)) for edition, theirs in found.items()}
