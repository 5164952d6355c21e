"""Credentials are whole whoever asks for them at the same time."""

import asyncio
import base64
import os
import threading
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kubernetes.aio.config import kube_config

from millpond.cli.target import Target
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
    one_is_through = threading.Event()

    def slow_open(name: str, mode: str = "r", *more: Any) -> Any:
        if mode == "wb":
            one_is_through.wait(0.3)  # the file is there and empty: nobody may get through with it
        return open(name, mode, *more)

    monkeypatch.setattr(kube_config, "open", slow_open, raising=False)
    login, found = Login(kubeconfig(tmp_path / "config", b"a certificate")), []

    def log_in() -> None:
        found.append(Path(asyncio.run(login.configuration()).ssl_ca_cert).read_bytes())
        one_is_through.set()

    threads = [threading.Thread(target=log_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [b"a certificate"] * 2


async def test_a_kubeconfig_that_is_none_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="nowhere"):
        await Login(tmp_path / "nowhere").configuration()


def several(tmp_path: Path) -> list[Path]:
    """Two kubeconfigs; `x` is in both, and the first says which one counts."""
    files = [kubeconfig(tmp_path / "one", b"one"), kubeconfig(tmp_path / "two", b"two")]
    second = yaml.safe_load(files[1].read_text())
    second["clusters"].append({"name": "d", "cluster": {"server": "https://127.0.0.1:2"}})
    second["contexts"].append({"name": "y", "context": {"cluster": "d", "user": "u", "namespace": "shop"}})
    files[1].write_text(yaml.safe_dump(second | {"current-context": "y"}))
    return files


async def test_the_context_that_is_named_counts_in_whichever_file_it_stands(tmp_path: Path) -> None:
    both = Path(os.pathsep.join(map(str, several(tmp_path))))
    assert (await Login(both, "y").configuration()).host == "https://127.0.0.1:2"
    assert (await Login(both, "x").configuration()).host == "https://127.0.0.1:1"
    assert set(await Login(both, "y").stamps()) == set(several(tmp_path))
    with pytest.raises(Forbidden, match="nowhere"):
        await Login(both, "nowhere").configuration()


def test_contexts_are_merged_as_kubectl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "missing", *several(tmp_path)]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    assert Target.of(None, None, None) == Target(Path(os.pathsep.join(map(str, files[1:]))), "x", "default")
    assert Target.of(None, "y", None).namespace == "shop"
    assert Target.of(None, "y", "other").namespace == "other"
    with pytest.raises(click.ClickException, match=r"no context 'z' in .*two \(there: x, y\)"):
        Target.of(None, "z", None)


def test_in_a_pod_the_namespace_is_the_pods_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("POD_NAMESPACE", "ci")
    assert Target.of(None, None, None) == Target(None, None, "ci")
    with pytest.raises(click.ClickException, match="no kubeconfig at"):
        Target.of(None, "prod", None)


def test_without_a_current_context_it_says_which_there_are(tmp_path: Path) -> None:
    files = several(tmp_path)
    content = yaml.safe_load(files[1].read_text())
    del content["current-context"]
    files[1].write_text(yaml.safe_dump(content))
    with pytest.raises(click.ClickException, match=r"no current context: name one with --context \(x, y\)"):
        Target.of(files[1], None, None)
