import secrets
from collections.abc import Iterator

import httpx
import pytest

from millpond.api.names import EDITION, ELASTICAPP
from millpond.local.cluster.embedded import Cluster

from api.manifests import Manifest, manifest
from api.server import Refused, Server, connect
from waiting import eventually


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


@pytest.fixture(scope="session")
def admission(connection: httpx.Client) -> None:
    """The API server takes a moment to obey new admission policies."""
    server, made = Server(connection, "default"), manifest(EDITION, name=f"test-{secrets.token_hex(4)}")
    server.create(made)

    def refused() -> bool:
        try:
            server.patch(made, {"spec": {"edition": secrets.token_hex(4)}})
        except Refused:
            return True
        return False

    eventually(refused, 30, "admission policies are obeyed")
    server.delete(made)


@pytest.fixture
def app(server: Server) -> Manifest:
    """An ElasticApp that exists."""
    made = manifest(ELASTICAPP)
    server.create(made)
    return made
