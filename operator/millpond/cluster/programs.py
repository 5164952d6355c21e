"""Where the programs of the control plane come from: the first place that has them."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from millpond.cluster import folders
from millpond.cluster.errors import ClusterError

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ASSETS = "KUBEBUILDER_ASSETS"
Programs: TypeAlias = Mapping[str, Path]
Progress: TypeAlias = Callable[[str], None]


def installed(program: str) -> Path | None:
    """The program in KUBEBUILDER_ASSETS, on the PATH, or in the user's cache; None when in none of them."""
    places = [os.environ.get(ASSETS, ""), os.environ.get("PATH", ""), str(folders.programs())]
    for place in places:
        if place and (found := shutil.which(program, path=place)):
            return Path(found).absolute()
    return None


def find(progress: Progress) -> Programs:
    """Every program of PROGRAMS; raises ClusterError when one can't be had."""
    found = {program: path for program in PROGRAMS if (path := installed(program)) is not None}
    if missing := [program for program in PROGRAMS if program not in found]:
        raise ClusterError(f"not found in {ASSETS}, PATH or {folders.programs()}: {', '.join(missing)}")
    return found
