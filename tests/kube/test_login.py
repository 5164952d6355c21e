"""Credentials are whole whoever asks for them at the same time."""

import asyncio
import base64
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.config import kube_config

from millpond.kube.errors import Forbidden
from millpond.kube.login import Login


def kubeconfig(path: Path, ca: bytes) -> Path:
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": base64.b64encode(ca).decode()}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_two_threads_that_log_in_at_once_both_get_whole_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_open(name: str, mode: str = "r", *more: Any) -> Any:
        if mode == "wb":
            time.sleep(0.3)  # the file is there and empty for so long
        return open(name, mode, *more)

    monkeypatch.setattr(kube_config, "open", slow_open, raising=False)
    login, found = Login(kubeconfig(tmp_path / "config", b"a certificate")), []

    def log_in() -> None:
        found.append(Path(asyncio.run(login.configuration()).ssl_ca_cert).read_bytes())

    threads = [threading.Thread(target=log_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [b"a certificate"] * 2


async def test_a_kubeconfig_that_is_none_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="nowhere"):
        await Login(tmp_path / "nowhere").configuration()
