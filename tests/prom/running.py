"""Starts a Prometheus for a test."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from millpond.local.prometheus.process import LocalPrometheus
from millpond.local.prometheus.program import find_prometheus


def program() -> Path:
    said: list[str] = []
    found = find_prometheus(said.append)
    if found is None:
        pytest.skip(f"no Prometheus can be had here: {said}")
    return found


@contextmanager
def running(prometheus: LocalPrometheus, log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(prometheus.argv, stdout=file, stderr=subprocess.STDOUT)
    try:
        prometheus.wait_ready()
        yield
    finally:
        process.kill()
        process.wait()
