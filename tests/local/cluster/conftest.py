"""Programs that only pretend, and caches of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

Put = Callable[[Path, str], Path]


@pytest.fixture
def put() -> Put:
    """Puts a small executable of this name into a folder; it prints which folder it came from."""

    def put(folder: Path, name: str, says: str | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(f"#!/bin/sh\necho '{says or folder.name}'\n")
        path.chmod(0o755)
        return path

    return put


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No program anywhere: empty cache, empty PATH, no KUBEBUILDER_ASSETS. The root of all three."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path
