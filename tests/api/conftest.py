import secrets

import httpx
import pytest

from millpond.api.names import EDITION, ELASTICAPP

from api.manifests import Manifest, manifest
from api.server import Refused, Server
from waiting import eventually


@pytest.fixture
def server(http: httpx.Client, namespace: str) -> Server:
    return Server(http, namespace)


@pytest.fixture
def dry(http: httpx.Client) -> Server:
    """For what is only tried: it needs no namespace of its own."""
    return Server(http, "default")


@pytest.fixture(scope="session")
def admission(http: httpx.Client) -> None:
    """The API server takes a moment to obey new admission policies."""
    server, made = Server(http, "default"), manifest(EDITION, name=f"test-{secrets.token_hex(4)}")
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
