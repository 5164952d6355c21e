"""What keeps pods from serving: named precisely, in words that stand still while nothing changes."""

from dataclasses import replace
from typing import Any

import pytest

from millpond.control.act.backoff import RefusalBackoff
from millpond.control.observe import troubles
from millpond.control.observe.objects import pod, replicaset
from millpond.control.observe.world import Holdings
from millpond.control.obstacles.obstacles import obstacle
from millpond.control.obstacles.refusals import refusal
from millpond.control.resolve.candidates import Problem
from millpond_policies.reasons import Reason

from kube.builders import POD, SET, edition, sibling

Raw = dict[str, Any]
NOW_S = 1_800_000_000.0
CREATED = "2026-01-01T00:00:00Z"


def made(status: Raw, **spec: Any) -> Raw:
    meta = {"name": "cart-v1-a", "namespace": "shop", "uid": "u", "creationTimestamp": CREATED}
    return {
        "metadata": meta,
        "spec": {"nodeName": "node-1", **spec},
        "status": {"phase": "Pending", **status},
    }


def container(**state: Any) -> Raw:
    return {"name": "app", "image": "shop/cart:2", "ready": False, **state}


def waiting(reason: str, message: str = "", **more: Any) -> Raw:
    return {
        "containerStatuses": [container(state={"waiting": {"reason": reason, "message": message}}, **more)]
    }


def ended(code: int, reason: str = "Error") -> Raw:
    return {"terminated": {"exitCode": code, "reason": reason}}


def scheduling(message: str) -> Raw:
    return {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        ]
    }


PULLED = 'Back-off pulling image "shop/cart:2": ErrImagePull: '
RUNS: Raw = {"running": {"startedAt": CREATED}}
NODES = "0/3 nodes are available: "


@pytest.mark.parametrize(
    ("raw", "reason", "says"),
    [
        pytest.param(
            made(waiting("ErrImagePull", "rpc error: shop/cart:2: not found")),
            Reason.IMAGE_PULL_FAILED,
            ("'shop/cart:2' of container app", "no such image or tag"),
            id="an image that does not exist",
        ),
        pytest.param(
            made(waiting("ImagePullBackOff", PULLED + "401 Unauthorized")),
            Reason.IMAGE_PULL_FAILED,
            ("imagePullSecrets",),
            id="a registry that wants a login",
        ),
        pytest.param(
            made(waiting("ImagePullBackOff", PULLED + "dial tcp 10.0.0.1:443: i/o timeout")),
            Reason.IMAGE_PULL_FAILED,
            ("cannot be reached from the node",),
            id="a registry that does not answer",
        ),
        pytest.param(
            made(waiting("InvalidImageName", "couldn't parse")),
            Reason.IMAGE_PULL_FAILED,
            ("is not the name of an image", "registry/name:tag"),
            id="an image name that is none",
        ),
        pytest.param(
            made(waiting("CreateContainerConfigError", 'configmap "shop" not found')),
            Reason.CONTAINER_CONFIG_ERROR,
            ('configmap "shop" not found', "create it"),
            id="a config map that does not exist",
        ),
        pytest.param(
            made(waiting("CreateContainerConfigError", "couldn't find key port in Secret shop/keys")),
            Reason.CONTAINER_CONFIG_ERROR,
            ("couldn't find key port in Secret shop/keys",),
            id="a secret without that key",
        ),
        pytest.param(
            made(waiting("CrashLoopBackOff", "back-off 20s", lastState=ended(3))),
            Reason.CRASH_LOOP,
            ("container app", "exit code 3 (Error)", "kubectl logs -p"),
            id="a server that ends again and again",
        ),
        pytest.param(
            made(waiting("CrashLoopBackOff", "back-off 20s", lastState=ended(137, "OOMKilled"))),
            Reason.OUT_OF_MEMORY,
            ("container app", "resources.limits.memory"),
            id="a server that needs more memory than it may have",
        ),
        pytest.param(
            made(
                {
                    "initContainerStatuses": [
                        {**container(state=RUNS, lastState=ended(1)), "name": "schema"}
                    ],
                    **waiting("PodInitializing"),
                }
            ),
            Reason.INIT_CONTAINER_FAILED,
            ("init container schema", "exit code 1"),
            id="an init container that fails and is tried again",
        ),
        pytest.param(
            made(
                {
                    "initContainerStatuses": [{**container(state=ended(2)), "name": "proxy"}],
                    **waiting("PodInitializing"),
                },
                initContainers=[{"name": "proxy", "restartPolicy": "Always"}],
            ),
            Reason.CRASH_LOOP,
            ("sidecar proxy", "exit code 2"),
            id="a native sidecar that crashes",
        ),
        pytest.param(
            made(
                scheduling(
                    NODES + "1 Insufficient cpu, 2 node(s) had untolerated taint {gpu: yes}. preemption: 0/3"
                ),
                containers=[{"name": "app", "resources": {"requests": {"cpu": "64"}}}],
            ),
            Reason.SERVERS_UNSCHEDULABLE,
            ("Insufficient cpu", "untolerated taint {gpu: yes}", "app: cpu=64", "add tolerations"),
            id="no node with room, and taints",
        ),
        pytest.param(
            made(
                scheduling(NODES + "3 node(s) didn't match Pod's node affinity/selector."),
                nodeSelector={"disk": "ssd"},
            ),
            Reason.SERVERS_UNSCHEDULABLE,
            ("nodeSelector is disk=ssd",),
            id="no node of the pool with that label",
        ),
        pytest.param(
            made(
                scheduling('persistentvolumeclaim "data" not found'),
                volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}],
            ),
            Reason.VOLUME_NOT_BOUND,
            ('persistentvolumeclaim "data" not found', "create or bind the claims: data"),
            id="a claim that does not exist",
        ),
        pytest.param(
            made(
                scheduling(NODES + "pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes")
            ),
            Reason.VOLUME_NOT_BOUND,
            ("unbound immediate PersistentVolumeClaims",),
            id="a claim that is not bound",
        ),
        pytest.param(
            made({"containerStatuses": [container(state=RUNS)]}),
            None,
            ("container app runs, and its probes have not found it ready",),
            id="a server that is not ready yet",
        ),
        pytest.param(
            made(waiting("ContainerCreating"), volumes=[{"name": "c", "configMap": {"name": "shop"}}]),
            None,
            (f"since {CREATED}", "configMap shop", "kubectl describe pod cart-v1-a -n shop"),
            id="containers that are being created, and which volumes that takes",
        ),
    ],
)
def test_what_keeps_a_pod_from_serving(raw: Raw, reason: Reason | None, says: tuple[str, ...]) -> None:
    found = obstacle(raw)
    assert found is not None
    assert found.reason is reason
    for part in says:
        assert part in found.text


@pytest.mark.parametrize(
    ("status", "spec"),
    [
        pytest.param(
            {"containerStatuses": [container(state=RUNS, ready=True)]}, {}, id="a server that is ready"
        ),
        pytest.param(
            {"containerStatuses": [container(state=RUNS, ready=True, lastState=ended(1))]},
            {},
            id="one that crashed once and is ready again",
        ),
        pytest.param(
            {
                "initContainerStatuses": [container(state=ended(0))],
                "containerStatuses": [container(state=RUNS, ready=True)],
            },
            {},
            id="an init container that did its work",
        ),
        pytest.param({"phase": "Failed", "reason": "Evicted"}, {}, id="one that is finished"),
        pytest.param({}, {"nodeName": None}, id="one that the scheduler has not seen yet"),
    ],
)
def test_no_obstacle(status: Raw, spec: Raw) -> None:
    assert obstacle(made(status, **spec)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            waiting("ErrImagePull", "read udp 10.0.0.1:4711->10.0.0.2:53: i/o timeout"),
            waiting("ImagePullBackOff", PULLED + "read udp 10.0.0.1:4712->10.0.0.2:53: i/o timeout"),
            id="an image that is tried again from another port",
        ),
        pytest.param(
            waiting("CrashLoopBackOff", "back-off 10s", lastState=ended(1), restartCount=1),
            {"containerStatuses": [container(state=RUNS, lastState=ended(1), restartCount=2)]},
            id="a crash loop that counts",
        ),
        pytest.param(
            {"containerStatuses": [container(state=ended(1), restartCount=0)]},
            waiting("CrashLoopBackOff", "back-off 5m0s", lastState=ended(1), restartCount=9),
            id="a crash and its back-off",
        ),
        pytest.param(
            scheduling(NODES + "1 Insufficient cpu, 2 node(s) were unschedulable."),
            scheduling(
                "0/9 nodes are available: 4 Insufficient cpu, 5 node(s) were unschedulable. preemption: 0/9"
            ),
            id="nodes that are counted",
        ),
    ],
)
def test_settled_means_silent(before: Raw, after: Raw) -> None:
    assert obstacle(made(before)) == obstacle(made(after)) is not None


QUOTA = (
    'pods "web-v1-{}" is forbidden: exceeded quota: small, requested: pods=1, used: pods={}, limited: pods=2'
)


@pytest.mark.parametrize(
    ("said", "reason", "says"),
    [
        (
            QUOTA.format("x1y2z", 2),
            Reason.QUOTA_EXCEEDED,
            "exceeded quota: small, requested: pods=1, limited: pods=2",
        ),
        (
            'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: app',
            Reason.QUOTA_EXCEEDED,
            "must specify",
        ),
        (
            'pods "a" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
            Reason.LIMIT_RANGE_REFUSES,
            "maximum cpu usage",
        ),
        (
            'Pod "web-v1-6s5wz" is invalid: spec: "64Mi": must be less than or equal to memory limit of 32Mi',
            Reason.LIMIT_RANGE_REFUSES,
            'spec: "64Mi"',
        ),
        (
            'pods "a" is forbidden: violates PodSecurity "restricted:latest": hostPort',
            Reason.POD_SECURITY_REFUSES,
            "hostPort",
        ),
        (
            'pods "a" is forbidden: no PriorityClass with name top was found',
            Reason.PRIORITY_CLASS_NOT_FOUND,
            "name top",
        ),
        ('admission webhook "x.test" denied the request: no', Reason.PODS_REFUSED, "denied the request: no"),
    ],
    ids=[
        "a quota",
        "a quota that wants limits",
        "a LimitRange",
        "a limit by default",
        "Pod Security",
        "no such PriorityClass",
        "a webhook",
    ],
)
def test_why_a_pod_is_refused(said: str, reason: Reason, says: str) -> None:
    found = refusal(said)
    assert found.reason is reason
    assert says in found.message


def test_the_same_quota_is_the_same_refusal_whatever_pod_was_tried() -> None:
    assert refusal(QUOTA.format("aaaaa", 2)) == refusal(QUOTA.format("bbbbb", 1))


def failing(replicas: int, there: int) -> Raw:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": QUOTA.format("a", 2),
    }
    meta = {"namespace": "shop", "name": "cart-v1", "uid": "rs-v1", "resourceVersion": "1"}
    return {
        "metadata": meta,
        "spec": {"replicas": replicas},
        "status": {"replicas": there, "conditions": [condition]},
    }


def test_a_quota_that_lets_only_some_servers_start_limits_the_app() -> None:
    owned = replicaset(failing(4, 2))
    held = Holdings(editions={"v1": edition()}, sets={"v1": owned}, pods=[POD])
    found = troubles.limiting({}, held, ("v1",))
    assert found is not None
    assert found.reason is Reason.QUOTA_EXCEEDED
    assert "ReplicaSet cart-v1 gets no more pods: exceeded quota: small" in found.message
    held.sets["v1"] = replicaset(failing(2, 2))
    assert troubles.limiting({}, held, ("v1",)) is None


def test_containers_that_take_long_to_be_created_are_a_trouble_of_their_own() -> None:
    slow = pod(made(waiting("ContainerCreating")))
    held = Holdings(sets={"": SET}, pods=[slow])
    early, late = (troubles.trouble(held, "", slow.created_s + s) for s in (5.0, 61.0))
    assert early is not None
    assert late is not None
    assert (early.reason, late.reason) == (None, Reason.CONTAINERS_NOT_CREATED)
    assert early.message == late.message


def test_the_same_pod_is_named_while_several_have_the_same_trouble() -> None:
    crash = obstacle(made(waiting("CrashLoopBackOff", lastState=ended(1))))
    pods = [sibling(letter, obstacle=crash) for letter in "cba"]
    for order in (pods, pods[::-1]):
        found = troubles.trouble(Holdings(sets={"v1": SET}, pods=order), "v1", NOW_S)
        assert found is not None
        assert found.message.startswith("pod cart-v1-a: ")
    assert troubles.trouble(Holdings(pods=[replace(p, deleting=True) for p in pods]), "v1", NOW_S) is None


def test_what_was_refused_is_asked_again_ever_more_rarely() -> None:
    now = [0.0]
    refused = RefusalBackoff(lambda: now[0])
    problem, asked = Problem(reason=Reason.INVALID_TEMPLATE, message="no"), []
    while now[0] < 3000:
        if refused.get("uid", "3/hash") is None:
            asked.append(now[0])
            refused.add("uid", "3/hash", problem)
        now[0] += 1
    assert asked == [0, 30, 90, 210, 450, 930, 1530, 2130, 2730]
    assert refused.get("uid", "4/hash") is None, "another spec is asked at once"
