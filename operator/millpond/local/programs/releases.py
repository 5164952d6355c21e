"""Programs from the official releases of Kubernetes and etcd, checked by sha256; gives up at once off the net."""

import os
import platform
import shutil
import socket
import tarfile
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from millpond.local import versions
from millpond.local.download import DownloadError, Progress, fetch

KUBERNETES_BASE = "MILLPOND_KUBERNETES_RELEASES"
ETCD_BASE = "MILLPOND_ETCD_RELEASES"
_KUBERNETES = "https://dl.k8s.io"
_ETCD = "https://github.com/etcd-io/etcd/releases/download"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}
_CONNECT_S = 3.0
_ANSWER_S = 10.0

PINNED_SHA256: Mapping[str, str] = {}
"""File name -> sha256 that counts instead of the one published beside the file."""


class OffTheNet(DownloadError):
    """The server can't be reached: no use in trying it for the next program."""


@dataclass(frozen=True, slots=True)
class Release:
    """One file of a release, and where its sha256 is published."""

    url: str
    sums_url: str
    member: str | None = None
    """The program's place inside the archive; None when the file is the program itself."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def release_of(program: str) -> Release:
    """Raises DownloadError when there are none for this machine."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise DownloadError(f"no releases for machine type {platform.machine()}")
    if program == "etcd":
        base, name = _base(ETCD_BASE, _ETCD), f"etcd-{versions.ETCD}-linux-{architecture}"
        folder = f"{base}/{versions.ETCD}"
        return Release(f"{folder}/{name}.tar.gz", f"{folder}/SHA256SUMS", f"{name}/etcd")
    base = _base(KUBERNETES_BASE, _KUBERNETES)
    url = f"{base}/{versions.KUBERNETES}/bin/linux/{architecture}/{program}"
    return Release(url, f"{url}.sha256")


def fetch_all(programs: Sequence[str], to: Path, progress: Progress) -> None:
    """Fetch what can be had of `programs` into the folder `to`, telling why the others can't."""
    silent: set[tuple[str, int]] = set()  # asked once, not again for the next program
    for program in programs:
        try:
            release = release_of(program)
            if (hop := _first_hop(release.url)) not in silent:
                _fetch(program, release, to, progress)
        except OffTheNet as error:
            silent.add(hop)
            progress(f"no releases: {error}")
        except (DownloadError, tarfile.TarError) as error:
            progress(f"no {program} from its release: {error}")


def _fetch(program: str, release: Release, to: Path, progress: Progress) -> None:
    _check_reachable(*_first_hop(release.url))
    progress(f"fetching {release.url}")
    draft = to / f".{program}.new"
    try:
        fetched = fetch(release.url, _sha256(release), to / f".{release.name}.fetched", progress)
        _unpack(fetched, release.member, draft)
        draft.chmod(0o755)
        draft.replace(to / program)
    finally:
        draft.unlink(missing_ok=True)
        (to / f".{release.name}.fetched").unlink(missing_ok=True)


def _unpack(fetched: Path, member: str | None, draft: Path) -> None:
    if member is None:
        fetched.replace(draft)
        return
    with tarfile.open(fetched) as archive, draft.open("wb") as program:
        try:
            source = archive.extractfile(member)
        except KeyError:
            source = None
        if source is None:
            raise DownloadError(f"{fetched.name} has no file {member}")
        shutil.copyfileobj(source, program)


def _sha256(release: Release) -> str:
    """The pinned one, else the published: a lone figure, or the line of a SHA256SUMS that names the file."""
    if release.name in PINNED_SHA256:
        return PINNED_SHA256[release.name]
    try:
        with urllib.request.urlopen(release.sums_url, timeout=_ANSWER_S) as answer:
            lines = [line.split() for line in answer.read(1 << 20).decode().splitlines()]
    except (OSError, ValueError) as error:
        raise DownloadError(f"{release.sums_url}: {error}") from error
    for words in lines:
        if len(words) == 1 or (len(words) == 2 and words[1].lstrip("*") == release.name):
            return str(words[0]).lower()
    raise DownloadError(f"{release.sums_url} has no sha256 of {release.name}")


def _base(variable: str, default: str) -> str:
    return (os.environ.get(variable) or default).rstrip("/")


def _check_reachable(host: str, port: int) -> None:
    """Raises OffTheNet within seconds, also where a resolver would keep us waiting for half a minute."""
    failure: list[OSError] = [TimeoutError(f"{host}:{port} doesn't answer within {_CONNECT_S:g} s")]

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=_CONNECT_S).close()
            failure.clear()
        except OSError as error:
            failure[:] = [error]

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    if failure:
        raise OffTheNet(f"{host}:{port}: {failure[0]}")


def _first_hop(url: str) -> tuple[str, int]:
    """Where a request for `url` goes first: a proxy when one is configured for it."""
    wanted = urlsplit(url)
    proxy = urllib.request.getproxies().get(wanted.scheme)
    if proxy and not urllib.request.proxy_bypass(wanted.hostname or ""):
        wanted = urlsplit(proxy if "//" in proxy else f"//{proxy}", scheme="http")
    return wanted.hostname or "", wanted.port or (443 if wanted.scheme == "https" else 80)
