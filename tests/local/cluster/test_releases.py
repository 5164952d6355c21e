"""Programs fetched from release servers: small archives on a local one."""

import hashlib
import io
import platform
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from millpond.local import versions
from millpond.local.programs import releases
from millpond.ports import free_port

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
ETCD = f"etcd-{versions.ETCD}-linux-{ARCHITECTURE}"
KUBECTL = f"/{versions.KUBERNETES}/bin/linux/{ARCHITECTURE}/kubectl"


class ReleaseServer:
    """Serves `files` (path -> content) and remembers what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, content: bytes) -> str:
        """The content's sha256."""
        self.files[path] = content
        return hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        files, asked = self.files, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                content = files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseServer]:
    serving = ReleaseServer()
    monkeypatch.setenv(releases.KUBERNETES_BASE, serving.url)
    monkeypatch.setenv(releases.ETCD_BASE, serving.url + "/")
    yield serving
    serving.close()


@pytest.fixture
def told() -> list[str]:
    return []


def _archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        header = tarfile.TarInfo(member)
        header.size = len(content)
        archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def test_a_program_whose_sha256_is_right_is_kept_and_can_be_run(
    server: ReleaseServer, tmp_path: Path, told: list[str]
) -> None:
    figure = server.put(KUBECTL, b"#!/bin/sh\n")
    server.put(f"{KUBECTL}.sha256", figure.encode())
    releases.fetch_all(["kubectl"], tmp_path, told.append)
    assert (tmp_path / "kubectl").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "kubectl").stat().st_mode & 0o111


def test_etcd_is_taken_out_of_its_archive(server: ReleaseServer, tmp_path: Path, told: list[str]) -> None:
    figure = server.put(f"/{versions.ETCD}/{ETCD}.tar.gz", _archive(f"{ETCD}/etcd", b"etcd itself"))
    sums = f"{'0' * 64}  another-file.tar.gz\n{figure}  {ETCD}.tar.gz\n"
    server.put(f"/{versions.ETCD}/SHA256SUMS", sums.encode())
    releases.fetch_all(["etcd"], tmp_path, told.append)
    assert (tmp_path / "etcd").read_bytes() == b"etcd itself"
    assert [path.name for path in tmp_path.iterdir()] == ["etcd"]


def test_a_program_whose_sha256_is_wrong_is_not_kept(
    server: ReleaseServer, tmp_path: Path, told: list[str]
) -> None:
    server.put(KUBECTL, b"something else")
    server.put(f"{KUBECTL}.sha256", b"0" * 64)
    releases.fetch_all(["kubectl"], tmp_path, told.append)
    assert list(tmp_path.iterdir()) == []
    assert "expected " + "0" * 64 in told[-1]


def test_a_pinned_sha256_counts_more_than_the_published_one(
    server: ReleaseServer, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(f"{KUBECTL}.sha256", server.put(KUBECTL, b"replaced on the server").encode())
    monkeypatch.setattr(releases, "PINNED_SHA256", {"kubectl": "1" * 64})
    releases.fetch_all(["kubectl"], tmp_path, told.append)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_the_program_is_refused(
    server: ReleaseServer, tmp_path: Path, told: list[str]
) -> None:
    figure = server.put(f"/{versions.ETCD}/{ETCD}.tar.gz", _archive("README", b""))
    server.put(f"/{versions.ETCD}/SHA256SUMS", f"{figure}  {ETCD}.tar.gz\n".encode())
    releases.fetch_all(["etcd"], tmp_path, told.append)
    assert list(tmp_path.iterdir()) == []
    assert f"has no file {ETCD}/etcd" in told[-1]


def test_a_program_that_the_server_lacks_does_not_keep_the_others_away(
    server: ReleaseServer, tmp_path: Path, told: list[str]
) -> None:
    server.put(f"{KUBECTL}.sha256", server.put(KUBECTL, b"#!/bin/sh\n").encode())
    releases.fetch_all(["etcd", "kubectl"], tmp_path, told.append)
    assert [path.name for path in tmp_path.iterdir()] == ["kubectl"]
    assert any("no etcd from its release" in line for line in told)


def test_a_server_that_refuses_connections_is_tried_once_for_all_programs(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv(releases.KUBERNETES_BASE, nowhere)
    monkeypatch.setenv(releases.ETCD_BASE, nowhere)
    releases.fetch_all(versions.PROGRAMS, tmp_path, told.append)
    assert len(told) == 1
    assert "Connection refused" in told[0]


def test_a_name_that_does_not_resolve_is_tried_once_for_all_programs(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for base in (releases.KUBERNETES_BASE, releases.ETCD_BASE):
        monkeypatch.setenv(base, "https://releases.invalid")
    releases.fetch_all(versions.PROGRAMS, tmp_path, told.append)
    assert len(told) == 1


def test_behind_a_proxy_it_is_the_proxy_that_must_be_reached(
    server: ReleaseServer, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "_opener", None)  # it has read the proxies of an earlier test
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv(releases.KUBERNETES_BASE, "http://releases.invalid")
    releases.fetch_all(["kubectl"], tmp_path, told.append)
    assert server.asked == [f"http://releases.invalid{KUBECTL}.sha256"]
