"""A node of its own for these tests, and pods on it."""

from collections.abc import Iterator

import httpx
import pytest

from millpond.local.cluster.embedded import Cluster, NodeSpec
from millpond.local.node import kubeconfig

from local.node.onnode import NODE, Pods


@pytest.fixture(scope="session")
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    access = kubeconfig.read(cluster.kubeconfig)
    assert access.tls
    with httpx.Client(base_url=access.server, headers=access.headers, verify=access.tls) as ready:
        yield ready


@pytest.fixture(scope="session")
def node(cluster: Cluster) -> Iterator[NodeSpec]:
    cluster.start_node(NODE)
    yield NODE
    cluster.fail_node(NODE.name)
    cluster.kubectl("delete", "node", NODE.name)


@pytest.fixture
def pods(cluster: Cluster, client: httpx.Client, node: NodeSpec, namespace: str) -> Iterator[Pods]:
    made = Pods(cluster, client, namespace)
    yield made
    client.request("DELETE", f"{made.path}/pods", json={"gracePeriodSeconds": 0})
