"""The servers of each edition while one looks on; nothing when the caller may not see pods."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from millpond.api.names import LABEL_APP
from millpond.cli.releases import Releases
from millpond.control.observe.headcount import Servers, by_edition
from millpond.control.observe.objects import Pod, pod
from millpond.kube import paths
from millpond.kube.cache import Reflector


@asynccontextmanager
async def watched(releases: Releases) -> AsyncIterator[Callable[[], Mapping[str, Servers]]]:
    logging.getLogger("millpond").setLevel(logging.CRITICAL)  # the display says what is not known
    selector = f"{LABEL_APP}={releases.app}"
    pods: Reflector[Pod] = Reflector(releases.api, paths.pods(releases.namespace), selector, keep=pod)
    pods.start()
    try:
        yield lambda: by_edition(pods.store.items().values())
    finally:
        await pods.stop()
