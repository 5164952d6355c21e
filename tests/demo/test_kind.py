"""What `millpond demo --on kind` says where something is missing, and what it asks kind for."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from millpond.cli.run.demo import demo
from millpond.demo import scenario
from millpond.demo.judge.rollout_checks import each_request_worked_on_once
from millpond.demo.kind import cluster, images, tools
from millpond.demo.stage.stack import StackError


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing else is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    return tmp_path


def test_everything_that_is_missing_is_named_at_once_and_nothing_is_started(path: Path) -> None:
    program(path, "kubectl", "exit 0")
    result = CliRunner().invoke(demo, ["--on", "kind"])
    assert result.exit_code == 1
    assert "not on the PATH: docker or podman, kind, helm" in result.output
    assert "https://kind.sigs.k8s.io" in result.output


def test_an_engine_that_does_not_answer_is_told_with_its_words(path: Path) -> None:
    for name in ("kind", "kubectl", "helm"):
        program(path, name, "exit 0")
    program(path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(
        StackError, match=r"no container engine answers(.|\n)*Cannot connect to the Docker daemon"
    ):
        tools.find()


def test_podman_is_taken_where_docker_does_not_answer_and_kind_is_told(path: Path) -> None:
    for name in ("kind", "kubectl", "helm", "podman"):
        program(path, name, 'echo "provider $KIND_EXPERIMENTAL_PROVIDER"')
    program(path, "docker", "exit 1")
    found = tools.find()
    assert found.engine == "podman"
    assert found.run("kind") == "provider podman\n"
    assert images.repository(found) == "localhost/millpond"


def test_a_cluster_to_reuse_that_is_not_there_is_refused_with_those_that_are(path: Path) -> None:
    program(path, "kind", "echo one; echo two")
    with pytest.raises(StackError, match="no kind cluster 'three'; there are: one, two"):
        cluster.KindCluster.reuse(tools.Tools(engine="docker"), "three", path / "three")


def test_a_cluster_without_a_way_to_the_node_port_is_refused_with_the_way_to_make_one(path: Path) -> None:
    program(path, "kind", "echo one-control-plane")
    program(path, "docker", "exit 1")
    found = cluster.KindCluster(name="one", folder=path, tools=tools.Tools(engine="docker"))
    with pytest.raises(
        StackError, match=r'no port .* node port 30080(.|\n)*extraPortMappings: .*"hostPort": 30080'
    ):
        found.host_port(30080)


def test_the_port_of_this_machine_is_found(path: Path) -> None:
    program(path, "kind", "echo one-worker; echo one-control-plane")
    program(path, "docker", 'test "$2" = one-control-plane && echo "[::1]:7" && echo 127.0.0.1:4711')
    found = cluster.KindCluster(name="one", folder=path, tools=tools.Tools(engine="docker"))
    assert found.host_port(30080) == 4711


def test_a_program_that_fails_is_told_with_its_last_words(path: Path) -> None:
    program(path, "helm", "echo 'Error: context deadline exceeded' >&2; exit 3")
    with pytest.raises(StackError, match="helm install x ended with 3:\nError: context deadline exceeded"):
        tools.Tools(engine="docker").run("helm", "install", "x")


def test_images_that_are_missing_are_not_made_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "docker", "exit 1")
    monkeypatch.setattr(images.paths, "chart", lambda: path / "millpond" / "_chart")
    with pytest.raises(StackError, match=r"no image millpond:.*: `make image` in a checkout"):
        images.ensure(tools.Tools(engine="docker"), {}, print)


def test_the_workers_are_the_pool_and_their_books_are_a_folder_of_this_machine(tmp_path: Path) -> None:
    made = cluster.configuration(4711, tmp_path)
    nodes = made["nodes"]
    assert isinstance(nodes, list)
    workers = [node for node in nodes if node["role"] == "worker"]
    assert len(workers) == 3
    assert all(node["labels"] == {"millpond.dev/pool": "default"} for node in workers)
    assert all(node["extraMounts"][0]["hostPath"] == str(tmp_path) for node in workers)
    mapping = {"containerPort": 30080, "hostPort": 4711, "listenAddress": "127.0.0.1"}
    assert nodes[0]["extraPortMappings"] == [mapping]
    assert os.stat(tmp_path).st_mode & 0o777 == 0o777


def test_a_cluster_to_reuse_is_for_kind_only() -> None:
    result = CliRunner().invoke(demo, ["--kind-cluster", "one"])
    assert result.exit_code == 2
    assert "--kind-cluster is for --on kind" in result.output


def test_a_check_that_cannot_be_made_somewhere_is_left_out() -> None:
    whole = scenario.load("rollout")
    assert len(whole.without(each_request_worked_on_once).checks) == len(whole.checks) - 1
