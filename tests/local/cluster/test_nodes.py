"""Nodes of a cluster: stopped, started again, failed."""

import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.local import blocks, record
from millpond.local.cluster.embedded import Cluster, NodeSpec
from millpond.local.processes import reaper

from waiting import eventually

ONE = NodeSpec("one", images={"sleeper": ["sleep", "600"]}, labels={"kind": "test"})
CONDITION = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}'


@pytest.fixture(scope="module")
def cluster_of_one(state_home: Path) -> Iterator[Cluster]:
    """A cluster of one node that counts as lost after 4 s."""
    name = f"test-{secrets.token_hex(3)}"
    with Cluster.start(name, nodes=[ONE], node_grace_s=4, progress=lambda line: None) as running:
        account = ("get", "serviceaccount", "default")
        eventually(lambda: running.kubectl(*account), 30, "pods can be made")
        yield running


@pytest.fixture
def sleeper(cluster_of_one: Cluster) -> Iterator[str]:
    """The name of a running pod."""
    name = f"sleeper-{secrets.token_hex(3)}"
    cluster_of_one.kubectl("run", name, "--image=sleeper", "--restart=Never")
    cluster_of_one.kubectl("wait", "--for=condition=Ready", "--timeout=30s", f"pod/{name}")
    yield name
    cluster_of_one.kubectl("delete", "pod", name, "--grace-period=0", "--force", "--ignore-not-found")


@pytest.mark.integration
def test_a_node_is_as_it_was_asked_for(cluster_of_one: Cluster) -> None:
    node = json.loads(cluster_of_one.kubectl("get", "node", "one", "--output=json"))
    assert node["status"]["allocatable"]["cpu"] == "4"
    assert node["metadata"]["labels"]["kind"] == "test"


@pytest.mark.integration
def test_a_pods_output_is_read_through_the_api_server(cluster_of_one: Cluster) -> None:
    say = ("run", "teller", "--image=any", "--restart=Never", "--command", "--", "echo", "as told")
    cluster_of_one.kubectl(*say)
    eventually(lambda: cluster_of_one.kubectl("logs", "teller") == "as told\n", 30, "the log has the output")


@pytest.mark.integration
def test_pods_outlive_a_restarted_agent(cluster_of_one: Cluster, sleeper: str) -> None:
    before = _pods(cluster_of_one)
    cluster_of_one.stop_node("one")
    assert _pods(cluster_of_one) >= before
    cluster_of_one.start_node(ONE)
    assert cluster_of_one.kubectl("get", "pod", sleeper, "-o=jsonpath={.status.phase}") == "Running"
    assert _pods(cluster_of_one) >= before


@pytest.mark.integration
def test_a_failed_node_is_lost_with_its_pods_and_comes_back(cluster_of_one: Cluster, sleeper: str) -> None:
    cluster_of_one.fail_node("one")
    assert reaper.members(_identity(cluster_of_one), "one") == []
    asked = ("get", "node", "one", CONDITION)
    eventually(lambda: cluster_of_one.kubectl(*asked) == "Unknown", 30, "the silent node is lost")
    cluster_of_one.start_node(ONE)
    assert cluster_of_one.kubectl(*asked) == "True"


def test_a_block_that_is_taken_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([16, 1, 16, 1, 17, 2])
    monkeypatch.setattr("random.randint", lambda low, high: next(drawn))
    assert blocks.free_block(["127.16.1"]) == "127.17.2"


def test_a_block_on_which_somebody_listens_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([251, 7, 252, 7])
    with socket.socket() as listening:
        listening.bind(("127.251.7.9", 0))
        listening.listen()
        monkeypatch.setattr("random.randint", lambda low, high: next(drawn))
        assert blocks.free_block([]) == "127.252.7"


def _identity(cluster: Cluster) -> str:
    remembered = record.load(cluster.state_dir)
    assert remembered is not None
    return remembered.id


def _pods(cluster: Cluster) -> set[int]:
    """The processes of pods on node one: what its agent has started."""
    members = reaper.members(_identity(cluster), "one")
    return {pid for pid in members if b"millpond" not in Path(f"/proc/{pid}/cmdline").read_bytes()}
