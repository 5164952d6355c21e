"""Exporters whose pages a test writes: Prometheus scrapes them all the time."""

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Page = Callable[[float], str]


class Exporter:
    """One scrape target. ``page`` gets the seconds since it was set; ``fails`` makes scrapes fail."""

    def __init__(self) -> None:
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter._page(time.monotonic() - exporter._since_s).encode()
                self.send_response(500 if exporter.fails else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.clear()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def show(self, page: Page) -> None:
        self._since_s = time.monotonic()
        self._page = page

    def clear(self) -> None:
        self.fails = False
        self.show(lambda _: "")

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who does not wait for the answer is nobody's trouble; printed, it would stand in other tests' output."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def histogram(name: str, labels: str, requests: float, each_s: float, bounds_s: tuple[float, ...]) -> str:
    """A histogram of so many requests, which all took ``each_s``."""
    buckets = [f'{name}_bucket{{{labels},le="{b:g}"}} {requests if b >= each_s else 0}' for b in bounds_s]
    total = [f"{name}_sum{{{labels}}} {requests * each_s}", f"{name}_count{{{labels}}} {requests}"]
    return "\n".join([*buckets, f'{name}_bucket{{{labels},le="+Inf"}} {requests}', *total, ""])
