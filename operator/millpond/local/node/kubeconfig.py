"""A kubeconfig's current context as an address, headers and a verified TLS context."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach one API server; ``tls`` is None for plain HTTP."""

    server: str
    headers: dict[str, str]
    tls: ssl.SSLContext | None


def read(path: Path) -> Access:
    """Raises ValueError when the file names no usable context."""
    config = yaml.safe_load(path.read_text())
    try:
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        server = cluster["server"].rstrip("/")
    except (KeyError, TypeError, StopIteration) as e:
        raise ValueError(f"{path}: no usable current-context (missing {e})") from e
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    tls = _tls(cluster, user, path.parent) if server.startswith("https") else None
    return Access(server=server, headers=headers, tls=tls)


def _named(config: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in config[kind] if entry["name"] == name)
    return found


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    ca = _pem(cluster, "certificate-authority", folder)
    tls = ssl.create_default_context(cadata=ca)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    cert, key = _pem(user, "client-certificate", folder), _pem(user, "client-key", folder)
    if cert and key:
        with tempfile.NamedTemporaryFile("w") as pair:  # OpenSSL only reads files
            pair.write(f"{cert}\n{key}")
            pair.flush()
            tls.load_cert_chain(pair.name)
    return tls


def _pem(entry: dict[str, Any], field: str, folder: Path) -> str | None:
    if f"{field}-data" in entry:
        return base64.b64decode(entry[f"{field}-data"]).decode()
    return (folder / entry[field]).read_text() if field in entry else None
