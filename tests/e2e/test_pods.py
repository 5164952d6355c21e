"""Pods as users have them: what they bring passes through, and what keeps them from serving is said."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from millpond.api.names import GATE

from e2e.product import POOL, Product, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
Raw = dict[str, Any]
LABEL = "millpond.dev/test-pods"


@pytest.fixture
def node(running: Product) -> Iterator[str]:
    """Without a kubelet: the test says what one would say. A new one for each test, for it is soon thought lost."""
    name = f"pods-by-hand-{secrets.token_hex(3)}"
    meta = {"name": name, "labels": {**POOL["spec"]["nodeSelector"], LABEL: "by-hand"}}
    taint = {
        "key": LABEL,
        "value": "by-hand",
        "effect": "NoSchedule",
    }  # pods of others would never start here
    running.apply({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"taints": [taint]}})
    room = {"cpu": "8", "memory": "8Gi", "pods": "50"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "by hand"}
    told = {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}}
    running.cluster.kubectl(
        "patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps(told)
    )
    yield name
    running.cluster.kubectl("delete", "node", name)


def by_hand(**more: Any) -> Raw:
    """On the node without a kubelet, whatever the cluster thinks of that."""
    made = template()
    made["spec"] |= {"nodeSelector": {LABEL: "by-hand"}, "tolerations": [{"operator": "Exists"}], **more}
    return made


def waiting(reason: str, message: str, **more: Any) -> Raw:
    return {"state": {"waiting": {"reason": reason, "message": message}}, "restartCount": 0, **more}


def tell(product: Product, namespace: str, container: Raw, kind: str = "containerStatuses") -> None:
    """The status of the one pod, as a kubelet would write it."""
    pods = eventually(
        lambda: [p for p in product.pods(namespace) if p["spec"].get("nodeName")], 30, "a pod on the node"
    )
    (found,) = pods
    named = found["spec"]["initContainers" if kind.startswith("init") else "containers"][0]
    told = {"name": named["name"], "image": named["image"], "imageID": "", "ready": False, **container}
    body = json.dumps({"status": {"phase": "Pending", kind: [told]}})
    name = found["metadata"]["name"]
    product.cluster.kubectl(
        "patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", body
    )


def said(product: Product, namespace: str, kind: str, status: str, reason: str) -> str:
    """The message of a condition, once it is as expected."""

    def found() -> str:
        now = product.condition(namespace, kind)
        assert now[:2] == (status, reason), now
        return now[2]

    return eventually(found, 30, f"{kind} is {status} because of {reason}")


def told(product: Product, namespace: str, reason: str) -> None:
    def reasons() -> bool:
        events = product.get("events.events.k8s.io", "-n", namespace)["items"]
        return reason in {e["reason"] for e in events if e["regarding"]["kind"] == "ElasticApp"}

    eventually(reasons, 20, f"an event {reason}")


def shown(product: Product, verb: str, namespace: str) -> str:
    """What the command prints of the app, in one line however wide the terminal is."""
    argv = [sys.executable, "-m", "millpond", verb, "web", "-n", namespace]
    env = {**os.environ, "KUBECONFIG": str(product.cluster.kubeconfig), "COLUMNS": "400"}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=30, check=True)
    return " ".join(done.stdout.split())


CRASHED = {"terminated": {"exitCode": 3, "reason": "Error"}}


@pytest.mark.parametrize(
    ("container", "kind", "reason", "says"),
    [
        pytest.param(
            waiting("ErrImagePull", "rpc error: not found"),
            "containerStatuses",
            "ImagePullFailed",
            "image 'sample' of container app cannot be pulled",
            id="an image that cannot be pulled",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", 'secret "keys" not found'),
            "containerStatuses",
            "ContainerConfigError",
            'secret "keys" not found',
            id="a secret that does not exist",
        ),
        pytest.param(
            waiting("CrashLoopBackOff", "back-off 10s", lastState=CRASHED),
            "containerStatuses",
            "CrashLoop",
            "container app ends again and again, last with exit code 3",
            id="a crash loop",
        ),
        pytest.param(
            waiting("CrashLoopBackOff", "back-off 10s", lastState=CRASHED),
            "initContainerStatuses",
            "InitContainerFailed",
            "init container schema ends again and again",
            id="an init container that fails",
        ),
    ],
)
def test_what_a_node_says_of_a_pod_is_why_the_app_is_not_ready(
    product: Product, namespace: str, node: str, container: Raw, kind: str, reason: str, says: str
) -> None:
    inits = [{"name": "schema", "image": "schema:1"}] if kind.startswith("init") else []
    product.apply(elastic_app(namespace, template=by_hand(initContainers=inits)))
    tell(product, namespace, container, kind)
    message = said(product, namespace, "Ready", "False", reason)
    (pod,) = product.pods(namespace)
    assert f"pod {pod['metadata']['name']}: " in message
    assert says in message
    told(product, namespace, reason)
    told(product, namespace, "EditionCreated")
    for verb in ("status", "explain"):
        page = shown(product, verb, namespace)
        assert reason in page, page
        assert says in page, page


def test_a_crash_loop_that_goes_on_is_written_once(product: Product, namespace: str, node: str) -> None:
    product.apply(elastic_app(namespace, template=by_hand()))
    tell(product, namespace, waiting("CrashLoopBackOff", "back-off 10s", lastState=CRASHED, restartCount=1))
    said(product, namespace, "Ready", "False", "CrashLoop")
    told(product, namespace, "CrashLoop")
    said(
        product, namespace, "MetricsAvailable", "True", "AsExpected"
    )  # the last that a new app hears of itself
    from_line, seen = product.audit_lines(), product.metric("millpond_cycle_seconds_count")
    for count in range(2, 5):
        more = {"lastState": CRASHED, "restartCount": count}
        tell(product, namespace, waiting("CrashLoopBackOff", f"back-off {count}0s", **more))
        tell(product, namespace, {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, **more})
    eventually(lambda: product.metric("millpond_cycle_seconds_count") > seen + 2, 20, "two more cycles")
    assert [w for w in product.operator_writes(from_line) if w.get("namespace") == namespace] == []


def test_no_node_of_the_pool_fits(product: Product, namespace: str) -> None:
    made = template()
    made["spec"]["nodeSelector"] = {"disk": "ssd"}
    product.apply(elastic_app(namespace, template=made))
    message = said(product, namespace, "Ready", "False", "ServersUnschedulable")
    assert "nodeSelector is disk=ssd, millpond.dev/pool=default" in message
    assert said(product, namespace, "Limited", "True", "ServersUnschedulable") in message
    told(product, namespace, "ServersUnschedulable")


def test_a_claim_that_does_not_exist(product: Product, namespace: str) -> None:
    made = template()
    made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "orders"}}]
    product.apply(elastic_app(namespace, template=made))
    message = said(product, namespace, "Ready", "False", "VolumeNotBound")
    assert "create or bind the claims: orders" in message


def test_a_quota_limits_the_app_and_nothing_piles_up(product: Product, namespace: str) -> None:
    quota = {"kind": "ResourceQuota", "metadata": {"name": "small", "namespace": namespace}}
    product.apply({"apiVersion": "v1", **quota, "spec": {"hard": {"pods": "1"}}})
    eventually(
        lambda: product.get("resourcequota", "small", "-n", namespace)["status"]["used"], 20, "it counts"
    )
    product.apply(elastic_app(namespace, servers={"min": 2, "max": 6}))
    message = said(product, namespace, "Limited", "True", "QuotaExceeded")
    assert "exceeded quota: small" in message
    assert "raise the ResourceQuota" in message
    assert "exceeded quota: small" in said(product, namespace, "Ready", "False", "QuotaExceeded")
    eventually(lambda: product.servers(namespace).get("ready") == 1, 30, "the one that may be there serves")
    assert product.ordered(namespace) == 2
    told(product, namespace, "QuotaExceeded")


@pytest.mark.parametrize(
    ("rule", "spec", "reason", "says"),
    [
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "spec": {"limits": [{"type": "Container", "min": {"memory": "1Gi"}}]},
            },
            {},
            "LimitRangeRefuses",
            "minimum memory usage per Container is 1Gi",
            id="a LimitRange",
        ),
        pytest.param(
            None,
            {"priorityClassName": "top"},
            "PriorityClassNotFound",
            "no PriorityClass with name top",
            id="no such PriorityClass",
        ),
    ],
)
def test_what_the_namespace_refuses_of_pods_is_told_of_the_replica_set(
    product: Product, namespace: str, rule: Raw | None, spec: Raw, reason: str, says: str
) -> None:
    if rule is not None:
        product.apply({**rule, "metadata": {"name": "rule", "namespace": namespace}})
    made = template()
    made["spec"] |= spec
    product.apply(elastic_app(namespace, template=made))
    assert says in said(product, namespace, "Ready", "False", reason)
    assert product.pods(namespace) == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        pytest.param({"restartPolicy": "Never"}, "restartPolicy", id="what only a ReplicaSet refuses"),
        pytest.param({"readinessGates": ["x"]}, "readinessGates", id="gates that are none"),
        pytest.param({"nodeSelector": "disk=ssd"}, "nodeSelector", id="a selector as text"),
        pytest.param({"terminationGracePeriodSeconds": "30"}, "terminationGracePeriod", id="seconds as text"),
    ],
)
def test_a_template_that_is_none_is_told_before_anything_is_made(
    product: Product, namespace: str, spec: Raw, says: str
) -> None:
    made = template()
    made["spec"] |= spec
    product.apply(elastic_app(namespace, template=made))
    assert says in said(product, namespace, "Ready", "False", "InvalidTemplate")
    assert product.get("editions", "-n", namespace)["items"] == []
    assert product.healthz().status_code == 200


def test_pod_security_refuses_and_says_what_it_wants(product: Product, namespace: str) -> None:
    product.cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    product.apply(elastic_app(namespace))
    message = said(product, namespace, "Ready", "False", "PodSecurityRefuses")
    assert "violates PodSecurity" in message
    assert "allowPrivilegeEscalation" in message


def test_an_edition_whose_pods_are_refused_does_not_harm_the_one_that_serves(
    product: Product, namespace: str
) -> None:
    product.apply(elastic_app(namespace))
    product.wait_serving(namespace)
    product.cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    how = {"strategy": "Atomic", "deadline": "10s"}
    product.apply(elastic_app(namespace, edition="v2", template=template(CHANGED="1"), rollout=how))

    def names_it() -> bool:
        return "violates PodSecurity" in product.condition(namespace, "RollingOut")[2]

    eventually(names_it, 20, "RollingOut says what keeps v2 from coming")
    assert product.condition(namespace, "Ready")[0] == "True"
    rollout = eventually(lambda: _taken_back(product, namespace), 60, "v2 is taken back")
    assert "violates PodSecurity" in rollout["message"]
    assert product.app(namespace)["status"]["edition"] == "v1"
    assert product.ask(f"web.{namespace}.test").status_code == 200


def test_a_rule_that_comes_later_is_the_replica_sets_trouble(product: Product, namespace: str) -> None:
    product.apply(elastic_app(namespace))
    product.wait_serving(namespace)
    limits = {"spec": {"limits": [{"type": "Container", "max": {"memory": "32Mi"}}]}}
    meta = {"metadata": {"name": "late", "namespace": namespace}}
    product.apply({"apiVersion": "v1", "kind": "LimitRange", **meta, **limits})
    product.cluster.kubectl("patch", "elasticapp", "web", "-n", namespace, "--type=merge",
                            "-p", '{"spec":{"servers":{"min":2}}}')  # fmt: skip
    message = said(product, namespace, "Limited", "True", "LimitRangeRefuses")
    assert "must be less than or equal to memory limit of 32Mi" in message


def test_a_selector_that_contradicts_the_pools_is_refused(product: Product, namespace: str) -> None:
    made = template()
    made["spec"]["nodeSelector"] = {"millpond.dev/pool": "gpu"}
    product.apply(elastic_app(namespace, template=made))
    message = said(product, namespace, "Ready", "False", "PoolSelectorConflict")
    assert "spec.template.spec.nodeSelector: millpond.dev/pool is 'gpu'" in message
    assert "'default'" in message


def test_an_edition_whose_image_cannot_be_pulled_is_named_and_taken_back(
    product: Product, namespace: str, node: str
) -> None:
    product.apply(elastic_app(namespace))
    product.wait_serving(namespace)
    how = {"strategy": "Atomic", "deadline": "15s"}
    product.apply(elastic_app(namespace, edition="v2", template=by_hand(), rollout=how))

    def second() -> Raw:
        (found,) = (p for p in product.pods(namespace) if p["spec"].get("nodeName") == node)
        return found

    name = eventually(second, 30, "a pod of v2")["metadata"]["name"]
    body = {
        "name": "app",
        "image": "sample",
        "imageID": "",
        "ready": False,
        **waiting("ErrImagePull", "not found"),
    }
    patch = json.dumps({"status": {"containerStatuses": [body]}})
    product.cluster.kubectl(
        "patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch
    )

    def names_it() -> bool:
        return (
            "image 'sample' of container app cannot be pulled"
            in product.condition(namespace, "RollingOut")[2]
        )

    eventually(names_it, 20, "RollingOut says what keeps v2 from coming")
    assert product.condition(namespace, "Ready")[0] == "True"
    rollout = eventually(lambda: _taken_back(product, namespace), 60, "v2 is taken back")
    assert "cannot be pulled" in rollout["message"]
    assert product.app(namespace)["status"]["edition"] == "v1"


def _taken_back(product: Product, namespace: str) -> Raw | None:
    found: Raw = product.app(namespace)["status"].get("rollout") or {}
    return found if found.get("phase") in ("RollingBack", "RolledBack") else None


def test_everything_that_users_bring_passes_through(product: Product, namespace: str) -> None:
    probe = {"exec": {"command": ["true"]}}
    container = {
        "name": "web",
        "image": "registry.test/web:1",  # with an entry point of its own
        "ports": [{"containerPort": 8080}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "lifecycle": {"preStop": {"exec": {"command": ["drain"]}}, "postStart": probe},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "startupProbe": probe,
        "volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n in ("data", "scratch", "all")],
    }
    spec = {
        "initContainers": [
            {"name": "schema", "image": "registry.test/schema:1"},
            {"name": "proxy", "image": "registry.test/proxy:1", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "log", "image": "registry.test/log:1"}, container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "orders"}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "all", "projected": {"sources": [{"configMap": {"name": "settings"}}]}},
        ],
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"disk": "ssd"},
        "readinessGates": [{"conditionType": "example.test/warm"}],
        "terminationGracePeriodSeconds": 600,
        "imagePullSecrets": [{"name": "login"}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"team": "shop"}},
            }
        ],
    }
    meta = {
        "labels": {"team": "shop"},
        "annotations": {"example.test/a": "b"},
    }
    product.apply(elastic_app(namespace, template={"metadata": meta, "spec": spec}))
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"team": "shop"}}}
    product.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                   "metadata": {"name": "web", "namespace": namespace}, "spec": budget})  # fmt: skip
    (owned,) = eventually(lambda: product.get("replicasets", "-n", namespace)["items"], 30, "its ReplicaSet")
    made = owned["spec"]["template"]
    assert contains(
        made["spec"], {k: v for k, v in spec.items() if k not in ("nodeSelector", "readinessGates")}
    )
    assert made["spec"]["nodeSelector"] == {"disk": "ssd", "millpond.dev/pool": "default"}
    assert made["spec"]["readinessGates"] == [{"conditionType": c} for c in ("example.test/warm", GATE)]
    assert contains(made["metadata"], meta)
    assert made["metadata"]["labels"]["millpond.dev/app"] == "web"


def contains(there: Any, wanted: Any) -> bool:
    """Everything that is wanted is there; the API server fills in its defaults."""
    if isinstance(wanted, dict):
        return all(key in there and contains(there[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(there) == len(wanted) and all(map(contains, there, wanted))
    return bool(there == wanted)
