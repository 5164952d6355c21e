"""Runs a Prometheus on loopback that scrapes what it is told to: the demo's and the tests'."""

import json
import os
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from millpond.ports import free_port
from millpond.prom.errors import PromUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """One job. ``addresses`` are host:port; with https the server is verified with ``ca_file``."""

    job: str
    addresses: tuple[str, ...] = ()
    scheme: str = "http"
    path: str = "/metrics"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class LocalPrometheus:
    """Writes the configuration into ``folder``; ``argv`` is what to start, by whoever owns processes."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        scrapes: Iterable[Scrape],
        *,
        interval_s: float = 1.0,
        port: int | None = None,
    ) -> None:
        """``port`` None: any free one."""
        self._folder = folder
        self._scrapes = {s.job: s for s in scrapes}
        address = f"127.0.0.1:{port or free_port()}"
        self.url = f"http://{address}"
        self.argv: tuple[str, ...] = (
            str(program),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=6h",
            f"--web.listen-address={address}",
            "--log.level=warn",
        )
        folder.mkdir(parents=True, exist_ok=True)
        for scrape in self._scrapes.values():
            self.retarget(scrape.job, scrape.addresses)
        _write(folder / "prometheus.yml", yaml.safe_dump(self._config(interval_s), sort_keys=False))

    def retarget(self, job: str, addresses: Iterable[str]) -> None:
        """Scrapes these addresses from now on; Prometheus notices by itself."""
        targets = [{"targets": sorted(addresses), "labels": dict(self._scrapes[job].labels)}]
        _write(self._targets_file(job), json.dumps(targets))

    def wait_ready(self, timeout_s: float = 20.0) -> None:
        """Returns when it answers queries; raises PromUnavailable after ``timeout_s``."""
        ends_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_s:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise PromUnavailable(f"Prometheus at {self.url} is not ready after {timeout_s:g} s")

    def _targets_file(self, job: str) -> Path:
        return self._folder / f"targets-{job}.json"

    def _config(self, interval_s: float) -> dict[str, Any]:
        interval = f"{round(interval_s * 1000)}ms"
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [self._job(scrape) for scrape in self._scrapes.values()],
        }

    def _job(self, scrape: Scrape) -> dict[str, Any]:
        tls = {"ca_file": scrape.ca_file, "cert_file": scrape.cert_file, "key_file": scrape.key_file}
        job: dict[str, Any] = {
            "job_name": scrape.job,
            "scheme": scrape.scheme,
            "metrics_path": scrape.path,
            "file_sd_configs": [{"files": [str(self._targets_file(scrape.job))], "refresh_interval": "5s"}],
        }
        if scrape.scheme == "https":
            job["tls_config"] = {name: str(file) for name, file in tls.items() if file is not None}
        return job


def _write(file: Path, text: str) -> None:
    """Whole or not at all: Prometheus may read at any moment."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)
