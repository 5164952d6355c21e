"""`millpond cluster` as somebody types it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from millpond.cli.main import main
from millpond.local.cluster.overview import overview


@pytest.fixture
def name() -> Iterator[str]:
    """A cluster's name; a cluster of this name ends with the test."""
    name = f"test-{secrets.token_hex(3)}"
    yield name
    if overview(name) is not None:
        _millpond("cluster", "down", "--delete", "--name", name)


@pytest.fixture
def no_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.integration
def test_up_status_kubeconfig_and_down(name: str) -> None:
    up = _millpond("cluster", "up", "--name", name, "--nodes", "1", "--cpu", "2")
    path = _millpond("cluster", "kubeconfig", "--name", name).stdout.strip()
    assert up.stdout == f"export KUBECONFIG={path}\n"
    assert _millpond("cluster", "status", "--name", name).returncode == 0
    assert "running" in _millpond("cluster", "status").stdout
    assert "is running already" in _millpond("cluster", "up", "--name", name).stderr

    assert _millpond("cluster", "down", "--name", name).returncode == 0
    stopped = _millpond("cluster", "status", "--name", name)
    assert (stopped.returncode, "stopped" in stopped.stdout) == (3, True)
    assert _millpond("cluster", "down", "--delete", "--name", name).returncode == 0
    assert not Path(path).parent.exists()


@pytest.mark.usefixtures("no_clusters")
@pytest.mark.parametrize(
    "argv",
    [["status", "--name", "nobody"], ["kubeconfig", "--name", "nobody"], ["down", "--name", "nobody"]],
    ids=lambda argv: argv[0],
)
def test_a_cluster_that_does_not_exist_is_an_error(argv: list[str]) -> None:
    result = CliRunner().invoke(main, ["cluster", *argv])
    assert (result.exit_code, result.output.splitlines()[0]) == (
        1,
        "Error: there is no cluster nobody: `millpond cluster status` shows those there are",
    )


@pytest.mark.usefixtures("no_clusters")
def test_without_clusters_status_says_how_to_start_one() -> None:
    result = CliRunner().invoke(main, ["cluster", "status"])
    assert "millpond cluster up" in result.output


@pytest.mark.usefixtures("no_clusters")
def test_elsewhere_than_on_linux_it_points_to_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    result = CliRunner().invoke(main, ["cluster", "up"])
    assert result.exit_code == 1
    assert "needs Linux: elsewhere use kind (https://kind.sigs.k8s.io)" in result.output


@pytest.mark.usefixtures("no_clusters")
def test_an_image_without_a_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["cluster", "up", "--image", "web"])
    assert result.exit_code == 1
    assert "--image 'web': it must be NAME=COMMAND" in result.output


def _millpond(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "millpond", *argv], env=dict(os.environ), capture_output=True, text=True
    )
