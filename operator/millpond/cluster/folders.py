"""Where clusters keep their state and programs are cached: the XDG folders of this user."""

import os
from pathlib import Path


def _home(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default


def clusters() -> Path:
    return _home("XDG_STATE_HOME", ".local/state") / "millpond" / "clusters"


def programs() -> Path:
    return _home("XDG_CACHE_HOME", ".cache") / "millpond" / "programs"
