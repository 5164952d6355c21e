"""Where the programs of a control plane are looked for, and in which order."""

from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.local import folders, versions
from millpond.local.programs import build, programs, releases

Put = Callable[..., Path]


@pytest.fixture
def assets(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(empty_machine / "assets"))
    return empty_machine / "assets"


@pytest.fixture
def provided(monkeypatch: pytest.MonkeyPatch, put: Put) -> list[str]:
    """The programs that were asked of the releases, which have them all."""
    asked: list[str] = []

    def fetch_all(wanted: list[str], to: Path, progress: object) -> None:
        asked.extend(wanted)
        for program in wanted:
            put(to, program)

    monkeypatch.setattr(releases, "fetch_all", fetch_all)
    return asked


def test_kubebuilder_assets_come_before_the_path_and_the_path_before_the_cache(
    assets: Path, empty_machine: Path, put: Put
) -> None:
    in_cache = put(folders.programs(), "etcd")
    assert programs.installed("etcd") == in_cache
    on_path = put(empty_machine / "path", "etcd")
    assert programs.installed("etcd") == on_path
    in_assets = put(assets, "etcd")
    assert programs.installed("etcd") == in_assets


def test_a_program_that_is_nowhere_is_not_installed(empty_machine: Path) -> None:
    assert programs.installed("etcd") is None


def test_a_file_that_is_not_executable_is_not_a_program(assets: Path, put: Put) -> None:
    put(assets, "etcd").chmod(0o644)
    assert programs.installed("etcd") is None


def test_only_what_is_missing_is_fetched(assets: Path, put: Put, provided: list[str]) -> None:
    there = {name: put(assets, name) for name in versions.SAME_VERSION}
    found = programs.find(print)
    assert provided == ["etcd", "kubectl"]
    assert {name: found[name] for name in there} == there
    assert found["kubectl"] == folders.programs() / "kubectl"


def test_what_was_fetched_once_is_found_in_the_cache(empty_machine: Path, provided: list[str]) -> None:
    programs.find(print)
    provided.clear()
    programs.find(print)
    assert provided == []


def test_what_no_release_has_is_built(empty_machine: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(releases, "fetch_all", lambda wanted, to, progress: put(to, "etcd"))
    monkeypatch.setattr(build, "build", lambda wanted, to, progress: built.extend(wanted))
    programs.find(print)
    assert built == [name for name in versions.PROGRAMS if name != "etcd"]


def test_an_api_server_of_another_version_than_the_controllers_is_not_used(
    assets: Path, put: Put, provided: list[str]
) -> None:
    put(assets, "kube-apiserver", says="Kubernetes v1.31.0")
    told: list[str] = []
    found = programs.find(told.append)
    assert found["kube-apiserver"] == folders.programs() / "kube-apiserver"
    assert "kube-apiserver is not used" in told[0]


def test_an_api_server_of_the_controllers_version_is_used_wherever_it_is(
    assets: Path, put: Put, provided: list[str]
) -> None:
    there = put(assets, "kube-apiserver", says=f"Kubernetes {versions.KUBERNETES}")
    assert programs.find(print)["kube-apiserver"] == there
