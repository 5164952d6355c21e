"""The same tests against the API server in memory and against a real one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from millpond.kube.client import Api
from millpond.local.cluster.embedded import Cluster as RealCluster

from memory import made
from memory.client import Client
from memory.cluster import Cluster


@dataclass
class Kube:
    """A cluster with nodes of pool `default`, by the operator's own client."""

    api: Api
    namespace: str
    selector: dict[str, str]


async def _steps(cluster: Cluster) -> None:
    while True:
        cluster.clock.passed_s += 0.5
        cluster.step()
        await asyncio.sleep(0.005)


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.integration)])
async def kube(request: Any) -> AsyncIterator[Kube]:
    if request.param == "real":
        real: RealCluster = request.getfixturevalue("cluster")
        api = Api(real.kubeconfig)
        yield Kube(api, request.getfixturevalue("namespace"), {"millpond.dev/pool": "default"})
        await api.close()
        return
    cluster = Cluster()
    made.furnished(cluster.server, "contract")
    steps = asyncio.create_task(_steps(cluster))
    yield Kube(cast(Api, Client(cluster.server)), "contract", {"pool": "default"})
    steps.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await steps
