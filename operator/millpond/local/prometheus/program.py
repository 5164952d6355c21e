"""A Prometheus program: from PATH, the user's cache, the official release, or Debian's package."""

import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from millpond.local.download import DownloadError, Progress, fetch

VERSION = "2.42.0"
RELEASES_VARIABLE = "MILLPOND_PROMETHEUS_RELEASES"
RELEASES = "https://github.com/prometheus/prometheus/releases/download"
SHA256 = {
    ("Linux", "x86_64"): "422dab055ed9c7bcaff52b718705f9192c6fac0de6b7e78dd278e70ee2663dcc",
    ("Darwin", "x86_64"): "384549a78a1d19d21e072a1aee2bd4aa9130446d5134587046141cc0928684c7",
    ("Darwin", "arm64"): "c72ebc0419e77e920b7cfb1742e85d3dd406ac0fe62e65936cc7119c98110d3b",
}
_ARCH = {"x86_64": "amd64", "arm64": "arm64"}
_APT_S = 120.0


class NotFoundHere(Exception):
    """One source of the program has none; the text says why."""


def find_prometheus(progress: Progress = print) -> Path | None:
    """The program, fetched if need be; None after telling why each source failed."""
    if found := _runs(shutil.which("prometheus")) or _runs(_cached()):
        return found
    sources: tuple[Callable[[Progress], Path], ...] = (from_release, from_debian)
    for source in sources:
        try:
            return source(progress)
        except (NotFoundHere, DownloadError, OSError, tarfile.TarError, subprocess.SubprocessError) as error:
            progress(f"no Prometheus {source.__name__.replace('_', ' ')}: {error}")
    return None


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millpond" / "prometheus"


def from_release(progress: Progress) -> Path:
    """The official archive of the pinned version, checked by its sha256."""
    machine = (platform.system(), platform.machine())
    if machine not in SHA256:
        raise NotFoundHere(f"no archive is pinned for {' '.join(machine)}")
    name = f"prometheus-{VERSION}.{machine[0].lower()}-{_ARCH[machine[1]]}"
    base = os.environ.get(RELEASES_VARIABLE) or RELEASES
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        url = f"{base.rstrip('/')}/v{VERSION}/{name}.tar.gz"
        archive = fetch(url, SHA256[machine], Path(folder) / f"{name}.tar.gz", progress)
        return _keep(_member(archive, f"{name}/prometheus", Path(folder) / "prometheus"))


def from_debian(progress: Progress) -> Path:
    """Debian's package, unpacked without being installed and without root; apt checks its signature chain."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NotFoundHere("this is not a Debian system (apt-get and dpkg-deb are missing)")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as name:
        folder = Path(name)
        progress("Prometheus: fetching Debian's package")
        package = _apt_download(folder, ()) or _apt_download(folder, _own_lists(folder))
        if package is None:
            raise NotFoundHere("apt-get can't download the package prometheus")
        _run(["dpkg-deb", "-x", str(package), str(folder / "files")], folder)
        return _keep(folder / "files" / "usr" / "bin" / "prometheus")


def _own_lists(folder: Path) -> tuple[str, ...]:
    """Options for package lists of our own, freshly fetched: the system's may be missing, and are root's."""
    for wanted in ("state/lists/partial", "cache/archives/partial"):
        (folder / wanted).mkdir(parents=True)
    options = (f"Dir::State={folder}/state", f"Dir::Cache={folder}/cache", "Acquire::http::Timeout=5")
    flags = tuple(flag for option in options for flag in ("-o", option))
    _run(["apt-get", *flags, "-o", "Acquire::Retries=0", "update"], folder, check=False)
    return flags


def _apt_download(folder: Path, options: tuple[str, ...]) -> Path | None:
    own = ("-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=0")
    _run(["apt-get", *options, *own, "download", "prometheus"], folder, check=False)
    return next(iter(folder.glob("prometheus_*.deb")), None)


def _run(argv: list[str], folder: Path, *, check: bool = True) -> None:
    subprocess.run(
        argv, cwd=folder, check=check, capture_output=True, stdin=subprocess.DEVNULL, timeout=_APT_S
    )


def _member(archive: Path, name: str, to: Path) -> Path:
    with tarfile.open(archive) as tar, to.open("wb") as file:
        source = tar.extractfile(name)
        if source is None:
            raise NotFoundHere(f"{archive.name} has no file {name}")
        shutil.copyfileobj(source, file)
    return to


def _cached() -> Path:
    return cache() / "bin" / "prometheus"


def _keep(program: Path) -> Path:
    """Moves the program into the cache, whole or not at all, once it has shown that it runs."""
    program.chmod(0o755)
    if not _runs(program):
        raise NotFoundHere("the program does not run on this machine")
    _cached().parent.mkdir(parents=True, exist_ok=True)
    return program.replace(_cached())


def _runs(program: str | Path | None) -> Path | None:
    if program is None or not Path(program).is_file():
        return None
    try:
        asked = subprocess.run([str(program), "--version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return (
        Path(program)
        if asked.returncode == 0 and b"prometheus, version" in asked.stdout + asked.stderr
        else None
    )
