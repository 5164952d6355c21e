"""Startup, readiness and liveness probes and readiness gates, on running pods."""

from typing import Any

import pytest

from local.node.onnode import Pods, condition, container, is_ready, running, shell, status_of

pytestmark = pytest.mark.integration

SLEEP = ("sleep", "1000")
SERVE = ("python3", "-m", "http.server", "8080", "--bind", "$(IP)")
IP = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]


def _exists(file: str, **timing: int) -> dict[str, Any]:
    return {"exec": {"command": ["test", "-e", file]}, "periodSeconds": 1, "failureThreshold": 1, **timing}


def test_http_and_tcp_probes_ask_the_pods_own_address_by_port_name(pods: Pods) -> None:
    named = [{"name": "web", "containerPort": 8080}]
    probes = {
        "startupProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 1, "failureThreshold": 30},
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "web"},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    }
    name = pods.create(container(*SERVE, env=IP, ports=named, **probes))
    pods.until(name, lambda p: status_of(p).get("started"), "the port is open")
    assert not is_ready(pods.get(name)), "404 is not ready"
    (pods.folder(name) / "home" / "ready").touch()
    pods.until(name, is_ready, "200 is ready")
    (pods.folder(name) / "home" / "ready").unlink()
    pod = pods.until(name, lambda p: not is_ready(p), "404 takes it out again")
    assert condition(pod)["reason"] == "ContainersNotReady"
    assert status_of(pod)["restartCount"] == 0, "readiness never restarts"


def test_readiness_and_liveness_wait_for_startup(pods: Pods) -> None:
    never = _exists("never")
    name = pods.create(
        container(*SLEEP, startupProbe=_exists("up", failureThreshold=100), livenessProbe=_exists("up"))
        | {"readinessProbe": _exists("up")},
        container(*SLEEP, name="failing", startupProbe=never),
    )
    pod = pods.until(name, lambda p: status_of(p, "failing")["restartCount"] >= 1, "startup failure restarts")
    assert (status_of(pod)["restartCount"], status_of(pod)["started"]) == (0, False)
    (pods.folder(name) / "home" / "up").touch()
    pods.until(name, lambda p: status_of(p).get("ready"), "started and ready")


def test_a_failed_liveness_probe_restarts_the_container_after_its_grace_period(pods: Pods) -> None:
    stubborn = shell("trap 'echo asked' TERM; echo up; touch alive; while :; do sleep 0.05; done")
    up = {"startupProbe": _exists("alive", failureThreshold=100), "livenessProbe": _exists("alive")}
    name = pods.create(stubborn | up)
    pods.until(name, lambda p: status_of(p).get("started"), "it has got as far as the file")
    (pods.folder(name) / "home" / "alive").unlink()
    pod = pods.until(
        name, lambda p: status_of(p)["restartCount"] == 1 and running(p), "it runs again", timeout_s=30
    )
    last = status_of(pod)["lastState"]["terminated"]
    assert last["exitCode"] == 137, "it ignored SIGTERM"
    assert "liveness probe" in last["message"]
    said = pods.logs(name, "--previous").split()
    assert said[:2] == ["up", "asked"], "bash may add that its sleep was killed"
    assert {"Unhealthy", "Killing"} <= pods.events(name)


def test_a_pod_is_ready_only_with_its_gates_and_others_conditions_are_left_alone(pods: Pods) -> None:
    gate = "millpond.dev/serving"

    def set_gate(name: str, status: str) -> None:
        body = {"status": {"conditions": [{"type": gate, "status": status, "reason": "Tried"}]}}
        pods.client.patch(
            f"{pods.path}/pods/{name}/status",
            json=body,
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        ).raise_for_status()

    name = pods.create(container(*SLEEP), readinessGates=[{"conditionType": gate}])
    pod = pods.until(
        name, lambda p: condition(p, "ContainersReady").get("status") == "True", "containers are ready"
    )
    assert condition(pod)["reason"] == "ReadinessGatesNotReady"
    set_gate(name, "True")
    pods.until(name, is_ready, "the gate opens it")
    set_gate(name, "False")
    pod = pods.until(name, lambda p: not is_ready(p), "the gate closes it")
    assert condition(pod, gate)["reason"] == "Tried"
