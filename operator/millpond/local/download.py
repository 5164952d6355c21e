"""Fetches a file and keeps it only when it is the very file that was meant."""

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

Progress = Callable[[str], None]

PATIENCE_S = 5.0
_CHUNK = 1024 * 1024


class DownloadError(Exception):
    """The file could not be had; the text says why."""


def fetch(url: str, sha256: str, to: Path, progress: Progress) -> Path:
    """The file at ``to``, fetched from ``url``; raises DownloadError, leaving nothing behind.

    Gives up when nothing comes for a few seconds (off the net: at once), never tries twice.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file, urllib.request.urlopen(url, timeout=PATIENCE_S) as source:
            found = _copy(source, file, int(source.headers.get("Content-Length") or 0), to.name, progress)
        if found != sha256:
            raise DownloadError(f"{url} has sha256 {found}, expected {sha256}")
        return part.replace(to)
    except (OSError, ValueError) as error:
        raise DownloadError(f"{url}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _copy(source: IO[bytes], file: IO[bytes], size: int, name: str, progress: Progress) -> str:
    """The sha256 of what was copied; tells every tenth."""
    digest, done, told = hashlib.sha256(), 0, 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        file.write(chunk)
        done += len(chunk)
        if size and done * 10 // size > told:
            told = done * 10 // size
            progress(f"{name}: {told * 10} % of {size / 1e6:.0f} MB")
    return digest.hexdigest()
