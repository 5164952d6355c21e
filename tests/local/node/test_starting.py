"""What a container's process is started with."""

import pytest

from local.node.onnode import Pods, container, is_ready, running, shell, terminated, waiting

pytestmark = pytest.mark.integration

SHOW = 'echo "$GREETING|$(pwd)|$HOSTNAME|$HOME"; tr "\\0" "\\n" < /proc/self/environ; echo done'


def test_command_args_and_environment_are_expanded_from_the_pod_and_its_references(pods: Pods) -> None:
    pods.client.post(
        f"{pods.path}/configmaps",
        json={"metadata": {"name": "settings"}, "data": {"level": "debug", "a.b": "dotted"}},
    )
    pods.client.post(
        f"{pods.path}/secrets", json={"metadata": {"name": "keys"}, "stringData": {"password": "s3cret"}}
    )
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "GREETING", "value": "$(IP)-$(LEVEL)-$$(IP)"},
    ]
    shown = container(
        "sh",
        "-c",
        SHOW,
        "$(IP)",
        env=env,
        envFrom=[{"configMapRef": {"name": "settings"}}],
        workingDir="/tmp",
    )
    name = pods.create(shown, restartPolicy="Never")
    pod = pods.until(name, lambda p: p["status"]["phase"] == "Succeeded", "it completes")
    lines = pods.logs(name).splitlines()
    ip = pod["status"]["podIP"]
    assert lines[0].startswith(f"{ip}-debug-$(IP)|/tmp|{name}|")
    assert {"PASSWORD=s3cret", "a.b=dotted", f"IP={ip}"} <= set(lines)
    assert not any(line.startswith(("XDG_STATE_HOME", "KUBEBUILDER")) for line in lines)


def test_an_image_stands_for_the_entrypoint_that_the_node_was_told(pods: Pods) -> None:
    known = {"name": "main", "image": "known.dev/app:1.2", "args": ["echo started"]}
    unknown = {"name": "main", "image": "unknown.dev/app:1.2"}
    good, bad = pods.create(known, restartPolicy="Never"), pods.create(unknown)
    pods.until(good, lambda p: p["status"]["phase"] == "Succeeded", "it completes")
    assert pods.logs(good) == "started\n"
    pod = pods.until(bad, lambda p: waiting(p).get("reason") == "ImagePullBackOff", "it cannot be pulled")
    assert "'unknown.dev/app:1.2' is not known" in waiting(pod)["message"]


def test_a_missing_reference_is_told_and_the_container_starts_once_it_is_there(pods: Pods) -> None:
    late = {"name": "LATE", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}
    name = pods.create(shell('echo "got $LATE"', env=[late]), restartPolicy="Never")
    pods.until(
        name,
        lambda p: (
            (waiting(p).get("reason"), waiting(p).get("message"))
            == ("CreateContainerConfigError", 'configmaps "late" not found')
        ),
        "it says what is missing",
    )
    pods.client.post(f"{pods.path}/configmaps", json={"metadata": {"name": "late"}, "data": {"k": "it"}})
    pods.until(name, lambda p: p["status"]["phase"] == "Succeeded", "it completes")
    assert pods.logs(name) == "got it\n"


def test_init_containers_run_one_after_the_other_before_the_others(pods: Pods) -> None:
    first = shell("sleep 0.2; echo 1 >> order", name="first")
    second = shell("echo 2 >> order", name="second")
    name = pods.create(
        shell("echo 3 >> order; cat order"), initContainers=[first, second], restartPolicy="Never"
    )
    pods.until(name, lambda p: p["status"]["phase"] == "Succeeded", "it completes")
    assert pods.logs(name).split() == ["1", "2", "3"]


def test_a_failed_init_container_fails_a_pod_that_never_restarts(pods: Pods) -> None:
    name = pods.create(
        shell("echo never"), initContainers=[shell("exit 4", name="first")], restartPolicy="Never"
    )
    pod = pods.until(name, lambda p: p["status"]["phase"] == "Failed", "it fails")
    assert terminated(pod, "first")["exitCode"] == 4
    assert waiting(pod)["reason"] == "PodInitializing"


def test_what_a_process_cannot_have_keeps_the_pod_pending_with_a_reason(pods: Pods) -> None:
    mounted = shell("true", volumeMounts=[{"name": "cache", "mountPath": "/cache"}])
    name = pods.create(mounted, volumes=[{"name": "cache", "emptyDir": {}}])
    pod = pods.until(name, lambda p: waiting(p).get("reason") == "CreateContainerConfigError", "it says why")
    assert "volume 'cache' (emptyDir) at /cache" in waiting(pod)["message"]
    assert pod["status"]["phase"] == "Pending"
    pods.delete(name)
    pods.until_gone(name)


def test_a_pod_that_asks_for_more_than_is_left_is_rejected_like_by_a_kubelet(pods: Pods) -> None:
    def asking(cpu: str) -> str:
        return pods.create(container("sleep", "1000", resources={"requests": {"cpu": cpu}}))

    fits = asking("1500m")
    pods.until(fits, running, "the first runs")
    too_much = asking("600m")
    pod = pods.until(too_much, lambda p: p["status"]["phase"] == "Failed", "the second is rejected")
    assert pod["status"]["reason"] == "OutOfcpu"
    assert "requested: 0.6, used: 1.5, capacity: 2" in pod["status"]["message"]


def test_a_command_that_is_not_there_is_a_start_error(pods: Pods) -> None:
    name = pods.create(container("/no/such/program"), restartPolicy="Never")
    pod = pods.until(name, lambda p: p["status"]["phase"] == "Failed", "it fails")
    assert (terminated(pod)["reason"], terminated(pod)["exitCode"]) == ("StartError", 128)


def test_without_probes_a_container_is_ready_as_soon_as_it_runs(pods: Pods) -> None:
    name = pods.create(container("sleep", "1000"))
    pods.until(name, is_ready, "it is ready")
