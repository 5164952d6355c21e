"""Clusters from start to end, with the real control plane and no nodes."""

import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from millpond.local import ports, record
from millpond.local.cluster.embedded import Cluster, ClusterError, KubectlError, NodeSpec
from millpond.local.cluster.overview import overview
from millpond.local.processes import reaper

from waiting import eventually

pytestmark = pytest.mark.integration

HERMIT = "(setsid sleep 600 >/dev/null 2>&1 &) ; sleep 600"
"""A process with a child in a session of its own, which init inherits when the parent ends."""

PARENT = f"""
import signal, sys
from millpond.local.cluster.embedded import Cluster
cluster = Cluster.start({{name!r}}, nodes=())
cluster.run("hermit", ["sh", "-c", {HERMIT!r}])
print("started", flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def empty(state_home: Path) -> Iterator[Cluster]:
    """A foreground cluster without nodes."""
    with Cluster.start(_name(), nodes=(), progress=_silent) as running:
        yield running


@pytest.fixture
def background() -> Iterator[Callable[[str], Cluster]]:
    """Starts clusters that outlive their starter; they end with the test."""
    names: set[str] = set()

    def start(name: str) -> Cluster:
        names.add(name)
        return Cluster.start(name, foreground=False, nodes=(), progress=_silent)

    yield start
    for name in names:
        try:
            Cluster.attach(name).stop(delete=True)
        except ClusterError:
            continue  # the test has stopped it


def test_the_api_server_is_ready_and_its_certificate_is_of_the_clusters_own_authority(
    empty: Cluster,
) -> None:
    assert empty.kubectl("get", "--raw", "/readyz") == "ok"
    trusting_everybody_else = ssl.create_default_context()
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{empty.server}/readyz", verify=trusting_everybody_else)


def test_nobody_gets_in_without_an_identity(empty: Cluster) -> None:
    trust = ssl.create_default_context(cafile=str(empty.ca_file))
    assert httpx.get(f"{empty.server}/readyz", verify=trust).status_code == 401


def test_keys_and_kubeconfigs_are_readable_by_their_owner_only(empty: Cluster) -> None:
    assert empty.state_dir.stat().st_mode & 0o077 == 0
    secret = [*empty.state_dir.glob("pki/*.key"), *empty.state_dir.glob("*.kubeconfig")]
    assert len(secret) > 8
    assert [path for path in secret if path.stat().st_mode & 0o077] == []


def test_what_kubectl_complains_about_is_in_the_error(empty: Cluster) -> None:
    with pytest.raises(KubectlError, match='namespaces "nowhere" not found'):
        empty.kubectl("get", "namespace", "nowhere")


def test_every_request_is_in_the_audit_log(empty: Cluster) -> None:
    name = _name()
    empty.kubectl("create", "configmap", name)
    assert empty.audit_log is not None
    assert name in empty.audit_log.read_text()


def test_the_operators_identity_is_its_service_account(empty: Cluster) -> None:
    empty.install_chart()
    who = empty.kubectl("auth", "whoami", f"--kubeconfig={empty.operator_kubeconfig}")
    assert "system:serviceaccount:millpond-system:millpond-operator" in who


def test_the_chart_may_be_installed_again(empty: Cluster) -> None:
    empty.install_chart()
    empty.install_chart()
    assert "elasticapps.millpond.dev" in empty.kubectl("get", "crds", "--output=name")


def test_a_name_that_kubernetes_would_not_take_is_refused() -> None:
    with pytest.raises(ClusterError, match="name 'My Cluster'"):
        Cluster.start("My Cluster", nodes=())


def test_a_further_process_finds_its_variables_and_leaves_a_log(empty: Cluster) -> None:
    process = empty.run("teller", ["sh", "-c", "echo told $WHAT by $MILLPOND_CLUSTER"], {"WHAT": "this"})
    eventually(lambda: not process.alive, 10, "the process has ended")
    assert process.log_path.read_text().startswith(f"told this by {empty.name}-")


def test_a_process_can_be_started_again_under_its_name_once_it_has_ended(empty: Cluster) -> None:
    first = empty.run("worker", ["sleep", "600"])
    with pytest.raises(ClusterError, match="worker runs already"):
        empty.run("worker", ["sleep", "600"])
    first.kill()
    second = empty.run("worker", ["sleep", "600"])
    assert (first.alive, second.alive) == (False, True)
    second.stop()
    assert not second.alive


def test_two_clusters_run_side_by_side_and_one_ends_without_a_trace(empty: Cluster) -> None:
    with Cluster.start(_name(), nodes=(), progress=_silent) as other:
        other.kubectl("create", "namespace", "only-there")
        with pytest.raises(KubectlError, match="not found"):
            empty.kubectl("get", "namespace", "only-there")
        with pytest.raises(KubectlError, match="certificate signed by unknown authority"):
            other.kubectl("get", "nodes", f"--server={empty.server}")
        other.run("hermit", ["sh", "-c", HERMIT])
        identity = _identity(other.state_dir)
        eventually(lambda: len(reaper.members(identity)) >= 6, 10, "the hermit and its child run")
    assert reaper.members(identity) == []
    assert not other.state_dir.exists()
    assert empty.kubectl("get", "--raw", "/readyz") == "ok"


def test_a_running_clusters_name_is_taken(empty: Cluster) -> None:
    with pytest.raises(ClusterError, match="in use"):
        Cluster.start(empty.name, nodes=(), progress=_silent)


def test_a_foreground_cluster_dies_with_a_parent_that_is_killed(state_home: Path) -> None:
    name = _name()
    folder = state_home / "millpond" / "clusters" / name
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(name=name)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert "started\n" in iter(parent.stdout.readline, "")
        identity = _identity(folder)
        eventually(lambda: len(reaper.members(identity)) >= 6, 10, "the hermit and its child run")
        os.kill(parent.pid, signal.SIGKILL)
    eventually(lambda: not folder.exists(), 20, "the cluster's folder is gone")
    assert reaper.members(identity) == []


def test_a_cluster_started_again_goes_on_with_its_data(background: Callable[[str], Cluster]) -> None:
    name = _name()
    first = background(name)
    first.install_chart()
    first.kubectl("create", "configmap", "kept", "--from-literal=what=data")
    first.stop()
    assert reaper.members(_identity(first.state_dir)) == []
    second = background(name)
    assert second.kubectl("get", "configmap", "kept", "--output=jsonpath={.data.what}") == "data"
    second.kubectl("get", "slapolicies", f"--kubeconfig={second.operator_kubeconfig}")


def test_a_released_cluster_lives_on_and_survives_a_crash(background: Callable[[str], Cluster]) -> None:
    started = Cluster.start(_name(), nodes=(), progress=_silent)
    started.release()
    found = Cluster.attach(started.name)
    found.kubectl("create", "configmap", "kept")
    with pytest.raises(ClusterError, match="is running already"):
        background(started.name)
    os.kill(_pid(found, "kube-apiserver"), signal.SIGKILL)
    eventually(lambda: _state(started.name) == "broken", 10, "the API server has ended")
    again = background(started.name)
    assert again.kubectl("get", "configmap", "kept", "--output=name") == "configmap/kept\n"
    Cluster.attach(started.name).stop(delete=True)
    assert not started.state_dir.exists()
    with pytest.raises(ClusterError, match="no cluster"):
        Cluster.attach(started.name)


def test_a_port_that_somebody_takes_at_the_last_moment_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    choose, told = ports.free_port, list[str]()
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        chosen = iter([choose(), choose(), taker.getsockname()[1]])
        monkeypatch.setattr(ports, "free_port", lambda taken=(): next(chosen, None) or choose(taken))
        with Cluster.start(_name(), nodes=(), progress=told.append) as running:
            assert running.kubectl("get", "--raw", "/readyz") == "ok"
    assert any("trying other ports" in line for line in told)


def test_a_cluster_whose_agent_can_not_start_is_cleaned_up_and_says_why(state_home: Path) -> None:
    name = _name()
    with pytest.raises(ClusterError, match="node-small"):
        Cluster.start(name, nodes=[NodeSpec("small", cpu="no number")], progress=_silent)
    assert not (state_home / "millpond" / "clusters" / name).exists()


def _state(name: str) -> str | None:
    seen = overview(name)
    return seen and seen.state


def _pid(cluster: Cluster, process: str) -> int:
    remembered = record.load(cluster.state_dir)
    assert remembered is not None
    return remembered.processes[process].pid


def _identity(folder: Path) -> str:
    remembered = record.load(folder)
    assert remembered is not None
    return remembered.id


def _name() -> str:
    return f"test-{secrets.token_hex(3)}"


def _silent(line: str) -> None:
    return
