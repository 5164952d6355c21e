import base64
from pathlib import Path
from typing import Any

import pytest

from millpond.local.node.api import StatusError
from millpond.local.node.containers import environment
from millpond.local.node.containers.environment import ConfigError
from millpond.local.node.pods.downward import Facts

FACTS = Facts(
    pod={
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1", "labels": {"tier": "gold"}},
        "spec": {"nodeName": "node-1", "serviceAccountName": "default", "containers": []},
    },
    pod_ip="127.9.9.2",
    host_ip="127.9.9.1",
    allocatable={"cpu": "4", "memory": "8Gi"},
)
OBJECTS: dict[tuple[str, str], dict[str, str]] = {
    ("configmaps", "settings"): {"LEVEL": "debug", "spring.port": "80"},
    ("secrets", "key"): {"password": base64.b64encode(b"s3cret").decode()},
}


async def _fetch(kind: str, name: str) -> dict[str, Any]:
    if (kind, name) not in OBJECTS:
        raise StatusError(404, f'{kind} "{name}" not found')
    return {"data": OBJECTS[kind, name]}


async def _build(*env: dict[str, Any], **container: Any) -> dict[str, str]:
    return await environment.build({"name": "main", "env": list(env), **container}, FACTS, _fetch)


def _from(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": source}


def _field(path: str) -> dict[str, Any]:
    return _from("F", fieldRef={"fieldPath": path})


async def test_later_values_see_earlier_ones() -> None:
    env = await _build(
        {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "C", "value": "3"}
    )
    assert env == {"A": "1", "B": "1$(C)", "C": "3"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['tier']", "gold"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node-1"),
        ("status.podIP", "127.9.9.2"),
        ("status.hostIP", "127.9.9.1"),
    ],
)
async def test_a_pod_knows_its_fields(path: str, value: str) -> None:
    assert await _build(_field(path)) == {"F": value}


async def test_config_maps_and_secrets_give_single_values_and_whole_sets() -> None:
    env = await _build(
        _from("LEVEL", configMapKeyRef={"name": "settings", "key": "LEVEL"}),
        _from("PASSWORD", secretKeyRef={"name": "key", "key": "password"}),
        envFrom=[{"prefix": "S_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "key"}}],
    )
    assert env == {
        "S_LEVEL": "debug",
        "S_spring.port": "80",
        "password": "s3cret",
        "LEVEL": "debug",
        "PASSWORD": "s3cret",
    }


async def test_optional_references_may_lead_nowhere() -> None:
    env = await _build(
        _from("A", configMapKeyRef={"name": "none", "key": "k", "optional": True}),
        _from("B", secretKeyRef={"name": "key", "key": "none", "optional": True}),
        envFrom=[{"secretRef": {"name": "none", "optional": True}}],
    )
    assert env == {}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        pytest.param(
            _from("A", configMapKeyRef={"name": "none", "key": "k"}),
            'configmaps "none" not found',
            id="no object",
        ),
        pytest.param(
            _from("A", secretKeyRef={"name": "key", "key": "k"}), "couldn't find key k in secret", id="no key"
        ),
        pytest.param(
            _field("status.phase"), "status.phase is not supported", id="a field that no pod may read"
        ),
        pytest.param(
            _from("A", fileKeyRef={"path": "x"}), "fileKeyRef is not supported", id="an unknown source"
        ),
    ],
)
async def test_what_is_missing_is_named(entry: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        await _build(entry)


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        pytest.param({"resource": "limits.memory", "divisor": "1Mi"}, "256", id="whole divisors"),
        pytest.param({"resource": "requests.cpu"}, "1", id="rounded up to cores"),
        pytest.param({"resource": "requests.cpu", "divisor": "1m"}, "250", id="millicores"),
        pytest.param({"resource": "limits.cpu"}, "4", id="without a limit: what the node has"),
        pytest.param({"resource": "limits.cpu", "divisor": "0"}, "4", id="divisor 0 is the API's default"),
    ],
)
async def test_a_container_knows_its_resources(ref: dict[str, str], value: str) -> None:
    resources = {"limits": {"memory": "256Mi"}, "requests": {"cpu": "250m"}}
    facts_pod = FACTS.pod | {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    facts = Facts(pod=facts_pod, pod_ip="", host_ip="", allocatable=FACTS.allocatable)
    container = {"name": "main", "env": [_from("R", resourceFieldRef=ref)]}
    assert await environment.build(container, facts, _fetch) == {"R": value}


def test_a_process_gets_nothing_of_the_agents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTS_SECRET", "x")
    monkeypatch.setenv("MILLPOND_CLUSTER", "c-1")
    env = environment.process_environment({"A": "1"}, hostname="web-1", home=Path("/h"), marks={"M": "m"})
    assert env.keys() == {"PATH", "HOME", "LANG", "HOSTNAME", "MILLPOND_CLUSTER", "A", "M"}
    assert (env["HOSTNAME"], env["HOME"], env["MILLPOND_CLUSTER"]) == ("web-1", "/h", "c-1")


def test_a_container_cannot_take_itself_out_of_its_clusters_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLPOND_CLUSTER", "c-1")
    asked = {"MILLPOND_CLUSTER": "", "MILLPOND_NODE": "other"}
    marks = {"MILLPOND_NODE": "node-1"}
    env = environment.process_environment(asked, hostname="web-1", home=Path("/h"), marks=marks)
    assert (env["MILLPOND_CLUSTER"], env["MILLPOND_NODE"]) == ("c-1", "node-1")
