"""Clients of the real API server, and a proxy in between that can misbehave."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from millpond.kube.client import Api
from millpond.local.cluster.embedded import Cluster

from kube.fault_proxy import FaultProxy


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    api = Api(cluster.kubeconfig)
    yield api
    await api.close()


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: FaultProxy) -> AsyncIterator[Api]:
    """An Api that speaks through the proxy."""
    api = Api(proxy.kubeconfig)
    yield api
    await api.close()
