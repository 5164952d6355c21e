"""A Java and an unpacked Tomcat for tests: what this machine has, else fetched once into the user's cache."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from millpond.local.download import DownloadError, Progress, fetch

VERSION = "10.1.59"
SHA256 = "c156101c33584748c74a44b3e3352191ef66a783a1fd2cb37a7c82308cb3d75c"
REPOSITORY = "MILLPOND_MAVEN_REPOSITORY"
"""Base address of a Maven repository to fetch from directly; without it, `mvn` fetches from where it is set up to."""

_OLDEST_JAVA = 11
_ARTIFACT = f"org.apache.tomcat:tomcat:{VERSION}:zip"
IN_REPOSITORY = f"org/apache/tomcat/tomcat/{VERSION}/tomcat-{VERSION}.zip"
_FOLDER = f"apache-tomcat-{VERSION}"
_MAVEN_S = 120.0


class NotHere(Exception):
    """This machine cannot run a Tomcat; the text says why."""


def java_home() -> Path:
    """The folder whose bin/java runs Tomcat: JAVA_HOME, else that of the java on the PATH. Raises NotHere."""
    home = os.environ.get("JAVA_HOME", "")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise NotHere(
            f"no java in JAVA_HOME {home}" if home else "no JAVA_HOME is set and no java on the PATH"
        )
    try:
        asked = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotHere(f"{found} does not run: {error}") from error
    version = re.search(r'version "(\d+)', asked.stderr)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        says = (asked.stderr.splitlines() or ["nothing"])[0]
        raise NotHere(f"{found} is no Java of {_OLDEST_JAVA} or later; it says: {says}")
    return Path(found).resolve().parent.parent


def catalina_home(progress: Progress = print) -> Path:
    """The unpacked Tomcat of VERSION, from the cache or fetched into it. Raises NotHere."""
    kept = _cache() / _FOLDER
    if kept.is_dir():
        return kept
    _cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_cache()) as name:
        folder = Path(name)
        shutil.unpack_archive(_archive(folder, progress), folder / "files")
        try:
            return (folder / "files" / _FOLDER).rename(kept)
        except OSError:
            if kept.is_dir():  # somebody else was faster
                return kept
            raise


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millpond" / "tomcat"


def _archive(folder: Path, progress: Progress) -> Path:
    """The pinned archive, in `folder`."""
    if base := os.environ.get(REPOSITORY, "").rstrip("/"):
        try:
            return fetch(f"{base}/{IN_REPOSITORY}", SHA256, folder / "tomcat.zip", progress)
        except DownloadError as error:
            raise NotHere(f"no Tomcat {VERSION} from {REPOSITORY}: {error}") from error
    return _by_maven(folder, progress)


def _by_maven(folder: Path, progress: Progress) -> Path:
    """By the user's own Maven, with the repositories and proxies that it is set up for, into a repository of ours."""
    if (maven := shutil.which("mvn")) is None:
        raise NotHere(f"no Tomcat {VERSION} in {_cache()}, {REPOSITORY} is not set and no mvn is on the PATH")
    progress(f"fetching {_ARTIFACT} by {maven}")
    options = [f"-Dmaven.repo.local={folder}/repository", f"-Dartifact={_ARTIFACT}", "-Dtransitive=false"]
    try:
        asked = subprocess.run(
            [maven, "--batch-mode", "--quiet", "dependency:get", *options],
            cwd=folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_MAVEN_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotHere(f"{maven} fetched no Tomcat: {error}") from error
    archive = folder / "repository" / IN_REPOSITORY
    if asked.returncode != 0 or not archive.is_file():
        raise NotHere(f"{maven} fetched no Tomcat {VERSION}: {(asked.stdout + asked.stderr).strip()[:500]}")
    if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != SHA256:
        raise NotHere(f"{maven} fetched a {archive.name} with sha256 {found}, expected {SHA256}")
    return archive
