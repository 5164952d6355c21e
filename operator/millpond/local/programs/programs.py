"""Where the programs of the control plane come from: the first place that has them."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from millpond.local import folders, lock, versions
from millpond.local.download import Progress
from millpond.local.programs import build, releases
from millpond.local.versions import PROGRAMS, SAME_VERSION

ASSETS = "KUBEBUILDER_ASSETS"
Programs: TypeAlias = Mapping[str, Path]
_BUILD_S = 3600.0


def find(progress: Progress) -> Programs:
    """Every program of PROGRAMS, fetched or built into the cache where need be. Raises ClusterError."""
    found = _of_one_version({name: path for name in PROGRAMS if (path := installed(name))}, progress)
    if missing := [program for program in PROGRAMS if program not in found]:
        _provide(missing, progress)
    return {program: found.get(program, folders.programs() / program) for program in PROGRAMS}


def installed(program: str) -> Path | None:
    """The program in KUBEBUILDER_ASSETS, on the PATH, or in the user's cache; None when in none of them."""
    places = [os.environ.get(ASSETS, ""), os.environ.get("PATH", ""), str(folders.programs())]
    for place in places:
        if place and (found := shutil.which(program, path=place)):
            return Path(found).absolute()
    return None


def _provide(missing: list[str], progress: Progress) -> None:
    """Into the cache: from the releases, else from source; one process at a time, the others wait for it."""
    cache = folders.programs()
    cache.mkdir(parents=True, exist_ok=True)
    with lock.held(cache, patience_s=_BUILD_S):
        if missing := _not_in(cache, missing):
            releases.fetch_all(missing, cache, progress)
        if missing := _not_in(cache, missing):
            build.build(missing, cache, progress)


def _not_in(cache: Path, programs: list[str]) -> list[str]:
    return [program for program in programs if not (cache / program).exists()]


def _of_one_version(found: dict[str, Path], progress: Progress) -> dict[str, Path]:
    """API server and controllers must be of one version: where several places give several, none of those is used.

    (KUBEBUILDER_ASSETS often has an API server of some version, and no controllers.)
    """
    together = {name: found[name] for name in SAME_VERSION if name in found}
    if len(together) == len(SAME_VERSION) and len({path.parent for path in together.values()}) == 1:
        return found
    unfit = {name for name, path in together.items() if _minor(path) != versions.minor()}
    for name in unfit:
        progress(
            f"{found[name]} is not used: with the others it would have to be Kubernetes {versions.minor()}"
        )
    return {name: path for name, path in found.items() if name not in unfit}


def _minor(program: Path) -> str | None:
    """1.37 of a program that says `Kubernetes v1.37.2`."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"v(\d+\.\d+)\.", said)
    return found[1] if found else None
