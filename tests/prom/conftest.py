"""A real Prometheus that scrapes four exporters five times a second."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from millpond.local.prometheus.process import LocalPrometheus, Scrape
from millpond.prom.reader import PromReader

from prom.exporter import Exporter
from prom.running import program, running


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[Exporter, ...]]]:
    found = program()
    exporters = tuple(Exporter() for _ in range(4))
    scrape = Scrape(job="exporters", addresses=tuple(e.address for e in exporters))
    folder = tmp_path_factory.mktemp("prometheus")
    prometheus = LocalPrometheus(found, folder, [scrape], interval_s=0.2)
    try:
        with running(prometheus, folder / "log"):
            yield prometheus.url, exporters
    finally:
        for exporter in exporters:
            exporter.stop()


@pytest.fixture
def exporters(scraped: tuple[str, tuple[Exporter, ...]]) -> Iterator[tuple[Exporter, ...]]:
    yield scraped[1]
    for exporter in scraped[1]:
        exporter.clear()


@pytest.fixture
async def reader(scraped: tuple[str, tuple[Exporter, ...]]) -> AsyncIterator[PromReader]:
    reader = PromReader(scraped[0])
    yield reader
    await reader.close()


@pytest.fixture
def shop() -> str:
    """A namespace that no other test uses."""
    return f"shop-{uuid4().hex[:8]}"
