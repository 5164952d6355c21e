"""One operator and one router for all end-to-end tests; each test has its own namespace and hosts."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.local.cluster.embedded import Cluster

from e2e.product import GOLD, POOL, Product


@pytest.fixture(scope="session")
def running(cluster: Cluster) -> Iterator[Product]:
    with tempfile.TemporaryDirectory(prefix="mp-") as folder:  # short: socket paths end at 107 bytes
        product = Product(cluster, Path(folder))
        try:
            product.start()
            product.apply(GOLD, POOL)
            yield product
        finally:
            product.stop()


@pytest.fixture
def product(running: Product) -> Iterator[Product]:
    """With the operator and its one router as they should be, whatever an earlier test did to them."""
    yield running
    if running.operator is None or not running.operator.alive:
        running.start_operator()
    for name, router in list(running.routers.items()):
        if name != "r1":
            router.stop()
            del running.routers[name]
        elif not router.alive:
            running.start_router(name)
