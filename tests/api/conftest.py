from collections.abc import Iterator

import httpx
import pytest

from api.server import Server, connect
from millpond.cluster.embedded import Cluster


@pytest.fixture(scope="session")
def connection(cluster: Cluster) -> Iterator[httpx.Client]:
    with connect(cluster.kubeconfig) as http:
        yield http


@pytest.fixture
def server(connection: httpx.Client, namespace: str) -> Server:
    return Server(connection, namespace)


@pytest.fixture
def dry(connection: httpx.Client) -> Server:
    """For what is only tried: it needs no namespace of its own."""
    return Server(connection, "default")
