"""A real Prometheus that scrapes four exporters five times a second."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from millpond.prom.local import find_prometheus
from millpond.prom.process import LocalPrometheus, Scrape
from millpond.prom.reader import PromReader
from prom.exporter import Exporter


@pytest.fixture(scope="session")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[Exporter, ...]]]:
    said: list[str] = []
    program = find_prometheus(said.append)
    if program is None:
        pytest.skip(f"no Prometheus can be had here: {said}")
    exporters = tuple(Exporter() for _ in range(4))
    scrape = Scrape(job="exporters", addresses=tuple(e.address for e in exporters))
    folder = tmp_path_factory.mktemp("prometheus")
    prometheus = LocalPrometheus(program, folder, [scrape], interval_s=0.2)
    process = _start(prometheus, folder / "log")
    try:
        prometheus.wait_ready()
        yield prometheus.url, exporters
    finally:
        process.kill()
        process.wait()
        for exporter in exporters:
            exporter.stop()


def _start(prometheus: LocalPrometheus, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(prometheus.argv, stdout=file, stderr=subprocess.STDOUT)


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
