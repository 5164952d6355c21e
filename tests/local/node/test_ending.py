"""How pods and their processes end."""

from typing import Any

import pytest

from local.node.onnode import NODE, Pods, container, running, shell, status_of, terminated, waiting
from waiting import eventually

pytestmark = pytest.mark.integration

STUBBORN = "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"
POLITE = "trap 'echo bye >> $HOME/../../../../farewell-$HOSTNAME; exit 0' TERM; echo up; while :; do sleep 0.02; done"


def _up(pods: Pods, script: str, **more: Any) -> str:
    name = pods.create(shell(script, **more.pop("container", {})), **more)
    pods.until(name, running, "it runs")
    eventually(lambda: "up" in pods.logs(name), 10, "its trap is set")
    return name


def test_a_deleted_pod_is_asked_first_and_gone_when_it_has_ended(pods: Pods) -> None:
    name = _up(pods, POLITE, terminationGracePeriodSeconds=60)
    farewell = pods.cluster.state_dir / "nodes" / f"farewell-{name}"
    pods.delete(name)
    pods.until_gone(name)
    assert farewell.read_text() == "bye\n"


def test_one_that_does_not_end_is_killed_after_its_grace_period(pods: Pods) -> None:
    name = _up(pods, STUBBORN, terminationGracePeriodSeconds=1)
    pods.delete(name)
    pods.until_gone(name)


def test_a_later_shorter_grace_period_counts(pods: Pods) -> None:
    name = _up(pods, STUBBORN, terminationGracePeriodSeconds=600)
    pods.delete(name)
    pods.until(name, lambda p: "deletionTimestamp" in p["metadata"], "it is being deleted")
    pods.delete(name, grace_s=1)
    pods.until_gone(name)


def test_the_pre_stop_hook_comes_before_the_signal(pods: Pods) -> None:
    lifecycle = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> told"]}}}
    script = (
        "trap 'cp told $HOME/../../../../order-$HOSTNAME; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    )
    name = _up(pods, script, container={"lifecycle": lifecycle}, terminationGracePeriodSeconds=60)
    pods.delete(name)
    pods.until_gone(name)
    assert (pods.cluster.state_dir / "nodes" / f"order-{name}").read_text() == "hook\n"


def test_a_sleeping_pre_stop_hook_is_cut_by_the_grace_period(pods: Pods) -> None:
    lifecycle = {"preStop": {"sleep": {"seconds": 50}}}
    name = _up(pods, POLITE, container={"lifecycle": lifecycle}, terminationGracePeriodSeconds=60)
    pods.delete(name, grace_s=1)
    pods.until_gone(name)
    assert (pods.cluster.state_dir / "nodes" / f"farewell-{name}").exists(), "it was still asked"


def test_a_pod_that_is_removed_by_force_takes_its_processes_along(pods: Pods) -> None:
    name = _up(pods, STUBBORN)
    folder = pods.folder(name)
    pods.delete(name, grace_s=0)
    eventually(lambda: not folder.exists(), 15, "the node has cleared it")


def test_restarts_are_immediate_once_and_then_backed_off(pods: Pods) -> None:
    name = pods.create(shell("echo boom; exit 3", terminationMessagePolicy="FallbackToLogsOnError"))
    pod = pods.until(name, lambda p: waiting(p).get("reason") == "CrashLoopBackOff", "it backs off")
    assert status_of(pod)["restartCount"] == 1
    last = status_of(pod)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "boom\n")
    assert "back-off 10s" in waiting(pod)["message"]
    pods.delete(name)
    pods.until_gone(name)


@pytest.mark.parametrize(
    ("policy", "script", "phase", "restarts"),
    [
        pytest.param("Never", "exit 1", "Failed", 0, id="Never: a failure is final"),
        pytest.param("OnFailure", "exit 0", "Succeeded", 0, id="OnFailure: a success is final"),
        pytest.param("OnFailure", "mkdir once", "Running", 1, id="OnFailure: a failure is tried again"),
    ],
)
def test_restart_policies(pods: Pods, policy: str, script: str, phase: str, restarts: int) -> None:
    script = "mkdir once 2>/dev/null && exit 1; sleep 1000" if script == "mkdir once" else script
    name = pods.create(shell(script), restartPolicy=policy)
    pods.until(
        name,
        lambda p: (p["status"]["phase"], status_of(p).get("restartCount")) == (phase, restarts),
        f"{phase} after {restarts} restarts",
    )


def test_a_pod_past_its_active_deadline_fails(pods: Pods) -> None:
    name = pods.create(container("sleep", "1000"), activeDeadlineSeconds=1)
    pod = pods.until(name, lambda p: p["status"]["phase"] == "Failed", "it is over")
    assert pod["status"]["reason"] == "DeadlineExceeded"


def test_a_container_above_its_memory_limit_is_killed_as_out_of_memory(pods: Pods) -> None:
    hungry = container(
        "python3",
        "-c",
        "import signal; x = b'x' * 90_000_000; signal.pause()",
        resources={"limits": {"memory": "60Mi"}},
    )
    name = pods.create(hungry, restartPolicy="Never")
    pod = pods.until(name, lambda p: p["status"]["phase"] == "Failed", "it is killed")
    assert (terminated(pod)["reason"], terminated(pod)["exitCode"]) == ("OOMKilled", 137)


def test_drain_evicts_pods_and_returns_when_they_are_gone(pods: Pods) -> None:
    name = _up(pods, POLITE, terminationGracePeriodSeconds=60)
    try:
        pods.cluster.kubectl("drain", NODE.name, "--force", "--timeout=30s")
        assert not pods.exists(name)
    finally:
        pods.cluster.kubectl("uncordon", NODE.name)
