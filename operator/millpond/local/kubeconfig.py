"""Kubeconfigs: one file that says where the API server is, how to trust it, and who is asking."""

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from millpond.local.pki import Pair


def with_certificate(path: Path, *, cluster: str, server: str, ca: Path, user: Pair) -> Path:
    files = {
        "client-certificate-data": _inline(user.certificate),
        "client-key-data": _inline(user.key),
    }
    return _write(path, cluster, server, ca, files)


def with_token(path: Path, *, cluster: str, server: str, ca: Path, token: str) -> Path:
    return _write(path, cluster, server, ca, {"token": token})


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(path: Path, cluster: str, server: str, ca: Path, user: dict[str, str]) -> Path:
    """Written at once or not at all: a reader never sees half a file."""
    name = f"millpond-{cluster}"
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": _inline(ca)}}
        ],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(content, sort_keys=False))
    os.replace(draft, path)
    return path
