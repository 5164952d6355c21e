"""Where clusters keep their state and programs are cached: the XDG folders of this user."""

import os
from pathlib import Path

from millpond.local import versions


def _home(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default


def clusters() -> Path:
    return _home("XDG_STATE_HOME", ".local/state") / "millpond" / "clusters"


def programs() -> Path:
    """Of these versions only, so that a later Millpond doesn't start with programs of an earlier one."""
    name = f"kubernetes-{versions.KUBERNETES}-etcd-{versions.ETCD}"
    return _home("XDG_CACHE_HOME", ".cache") / "millpond" / name
