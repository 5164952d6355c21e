"""The node itself: registered, restarted, failed, asked for logs and metrics."""

import ssl
from datetime import datetime

import httpx
import pytest

from millpond.local.node import kubeconfig

from local.node.onnode import NODE, Json, Pods, container, is_ready, running, shell, status_of
from waiting import eventually

pytestmark = pytest.mark.integration


def _node(pods: Pods) -> Json:
    found: Json = pods.client.get(f"/api/v1/nodes/{NODE.name}").json()
    return found


def _renewed(pods: Pods) -> datetime:
    lease = pods.client.get(
        f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE.name}"
    ).json()
    return datetime.fromisoformat(lease["spec"]["renewTime"])


def test_the_node_says_what_it_has(pods: Pods) -> None:
    node = _node(pods)
    assert node["status"]["allocatable"] == {"cpu": "2", "memory": "4Gi", "pods": "110"}
    assert node["metadata"]["labels"]["millpond.dev/pool"] == "tried"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == NODE.name
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"


def test_a_node_whose_object_is_deleted_registers_again_and_keeps_its_lease(pods: Pods) -> None:
    before, renewed = _node(pods)["metadata"]["uid"], _renewed(pods)
    pods.client.delete(f"/api/v1/nodes/{NODE.name}").raise_for_status()
    eventually(lambda: _node(pods)["metadata"]["uid"] != before, 20, "the node is there again")
    eventually(lambda: _renewed(pods) > renewed, 20, "the lease is renewed")


def test_pods_outlive_a_restarted_agent_which_adopts_them_as_they_are(pods: Pods) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    steady = pods.create(container("sleep", "1000", readinessProbe=probe))
    ends = pods.create(shell("until test -e go; do sleep 0.02; done; exit 6"), restartPolicy="Never")
    deleted = pods.create(container("sleep", "1000"))
    forced = pods.create(container("sleep", "1000"))
    before = pods.until(steady, is_ready, "it is ready")
    folders = {name: pods.folder(name) for name in (ends, forced)}
    for name in (ends, deleted, forced):
        pods.until(name, running, "it runs")
    pods.cluster.stop_node(NODE.name)
    try:
        (folders[ends] / "home" / "go").touch()
        pods.delete(deleted)
        pods.delete(forced, grace_s=0)
    finally:
        pods.cluster.start_node(NODE)
    pods.until(ends, lambda p: p["status"]["phase"] == "Failed", "what ended meanwhile is known")
    assert status_of(pods.get(ends))["state"]["terminated"]["exitCode"] == 6
    pods.until_gone(deleted)
    eventually(lambda: not folders[forced].exists(), 10, "the pod that is no more was cleared")
    after = pods.get(steady)
    assert (after["status"]["podIP"], status_of(after)["containerID"]) == (
        before["status"]["podIP"],
        status_of(before)["containerID"],
    )
    assert next(c for c in after["status"]["conditions"] if c["type"] == "Ready") == next(
        c for c in before["status"]["conditions"] if c["type"] == "Ready"
    ), "it was ready all the time"


def test_after_a_power_failure_the_node_starts_its_pods_again(pods: Pods) -> None:
    name = pods.create(container("sleep", "1000"))
    pods.until(name, running, "it runs")
    pods.cluster.fail_node(NODE.name)
    pods.cluster.start_node(NODE)
    pod = pods.until(name, lambda p: status_of(p)["restartCount"] == 1 and running(p), "it runs again")
    last = status_of(pod)["lastState"]["terminated"]
    assert last["exitCode"] == 137


def test_logs_can_be_cut_and_followed(pods: Pods) -> None:
    name = pods.create(
        shell("for i in 1 2 3; do echo line $i; done; until test -e go; do sleep 0.02; done; echo last"),
        restartPolicy="Never",
    )
    pods.until(name, running, "it runs")
    eventually(lambda: "line 3" in pods.logs(name), 10, "it has written")
    assert pods.logs(name, "--tail=2") == "line 2\nline 3\n"
    assert pods.logs(name, "--limit-bytes=5") == "line "
    assert pods.logs(name, "--timestamps", "--tail=1").endswith("Z line 3\n")
    assert pods.logs(name, "--since-time=2999-01-01T00:00:00Z") == ""
    with pods.client.stream("GET", f"{pods.path}/pods/{name}/log?follow=true&tailLines=1") as following:
        lines = following.iter_lines()
        assert next(lines) == "line 3"
        (pods.folder(name) / "home" / "go").touch()
        assert list(lines) == ["last"]


def test_metrics_need_a_certificate_of_the_clusters_ca(pods: Pods) -> None:
    name = pods.create(shell("x=0; while :; do x=$((x+1)); done"))
    pods.until(name, running, "it runs")
    labels = f'namespace="{pods.namespace}",pod="{name}",container="main"'
    status = _node(pods)["status"]
    address = f"{status['addresses'][0]['address']}:{status['daemonEndpoints']['kubeletEndpoint']['Port']}"
    url = f"https://{address}/metrics/cadvisor"
    known = kubeconfig.read(pods.cluster.kubeconfig).tls
    assert known

    def figures() -> dict[str, float]:
        rows = (
            line.rpartition(" ") for line in httpx.get(url, verify=known).text.splitlines() if labels in line
        )
        return {series.partition("{")[0]: float(value) for series, _, value in rows}

    eventually(lambda: figures()["container_cpu_usage_seconds_total"] > 0.1, 15, "CPU counts")
    assert figures()["container_memory_working_set_bytes"] > 500_000
    stranger = ssl.create_default_context(cafile=str(pods.cluster.ca_file))
    with pytest.raises(httpx.HTTPError):
        httpx.get(url, verify=stranger)
