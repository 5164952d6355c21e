"""Where the demo's Prometheus comes from, and that it gives up at once instead of waiting."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from millpond.local import download
from millpond.local.download import DownloadError, fetch
from millpond.local.prometheus import program as local

PROGRAM = b"#!/bin/sh\necho 'prometheus, version 2.42.0 (of a test)'\n"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    return shelf


@pytest.fixture
def releases(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of the files on the shelf, in place of the official one."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shelf)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv(local.RELEASES_VARIABLE, url)
    yield url
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty PATH and an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(local.platform, "system", lambda: "Linux")
    monkeypatch.setattr(local.platform, "machine", lambda: "x86_64")


def put_archive(shelf: Path, program: bytes = PROGRAM) -> str:
    name = f"prometheus-{local.VERSION}.linux-amd64"
    file = shelf / f"v{local.VERSION}" / f"{name}.tar.gz"
    file.parent.mkdir()
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo(f"{name}/prometheus")
        member.size = len(program)
        tar.addfile(member, io.BytesIO(program))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def left_in_cache() -> list[str]:
    return [str(f.relative_to(local.cache())) for f in local.cache().rglob("*") if f.is_file()]


def test_the_release_is_fetched_once_and_then_found_in_the_cache(
    shelf: Path, releases: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SHA256", {("Linux", "x86_64"): put_archive(shelf)})
    said: list[str] = []
    program = local.find_prometheus(said.append)
    assert program == local.cache() / "bin" / "prometheus"
    assert left_in_cache() == ["bin/prometheus"]
    assert any("100 %" in line for line in said)
    monkeypatch.setenv(local.RELEASES_VARIABLE, "http://127.0.0.1:9")
    assert local.find_prometheus(said.append) == program


def test_an_archive_that_is_not_the_pinned_one_is_refused_and_leaves_nothing(
    shelf: Path, releases: str
) -> None:
    put_archive(shelf)
    said: list[str] = []
    assert local.find_prometheus(said.append) is None
    assert f"expected {local.SHA256['Linux', 'x86_64']}" in said[-2]
    assert "not a Debian system" in said[-1]
    assert left_in_cache() == []


def test_a_program_that_does_not_run_is_not_kept(
    shelf: Path, releases: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SHA256", {("Linux", "x86_64"): put_archive(shelf, b"#!/bin/sh\nexit 1\n")})
    said: list[str] = []
    assert local.find_prometheus(said.append) is None
    assert "does not run on this machine" in said[-2]
    assert left_in_cache() == []


def test_the_path_comes_first(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "prometheus"
    program.parent.mkdir()
    program.write_bytes(PROGRAM)
    program.chmod(0o755)
    assert local.find_prometheus() == program


def test_something_else_of_that_name_is_not_taken(tmp_path: Path, releases: str) -> None:
    program = tmp_path / "bin" / "prometheus"
    program.parent.mkdir()
    program.write_bytes(b"#!/bin/sh\necho 'the film'\n")
    program.chmod(0o755)
    assert local.find_prometheus(lambda _: None) is None


def test_a_machine_without_a_pinned_archive_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.platform, "machine", lambda: "riscv64")
    said: list[str] = []
    assert local.find_prometheus(said.append) is None
    assert "no archive is pinned for Linux riscv64" in said[0]


@pytest.mark.parametrize(
    ("base", "says"),
    [
        pytest.param("http://127.0.0.1:9", "refused", id="nobody there"),
        pytest.param("http://nowhere.invalid", "http://nowhere.invalid", id="off the net"),
        pytest.param("nonsense", "unknown url type", id="not an address"),
    ],
)
def test_an_unreachable_server_is_given_up(base: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(local.RELEASES_VARIABLE, base)
    said: list[str] = []
    assert local.find_prometheus(said.append) is None
    assert says in said[0]


def test_a_missing_file_is_a_download_error_and_leaves_nothing(releases: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="404"):
        fetch(f"{releases}/none", "0" * 64, tmp_path / "to" / "file", print)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_download_that_stalls_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PATIENCE_S", 0.3)
    ended = threading.Event()

    class Stalls(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            ended.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stalls)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with pytest.raises(DownloadError, match="timed out"):
            fetch(f"http://127.0.0.1:{server.server_address[1]}/x", "0" * 64, tmp_path / "file", print)
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
    assert list(tmp_path.iterdir()) == []
