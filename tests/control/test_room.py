"""What a pod requests and where it may run, as the kube-scheduler reads it: or it is said that nobody knows."""

from typing import Any

import pytest
from hypothesis import given, settings

from millpond.api import quantity
from millpond.control.observe.constraints import constraints
from millpond.control.observe.nodes import node, pod_on_node
from millpond.control.observe.requests import requests
from millpond.control.snapshot.nodes import added_up
from millpond.control.snapshot.pools import pools
from millpond_policies.world.constraints import (
    Constraints,
    NodeTerm,
    Operator,
    Requirement,
    Resources,
    Spread,
    Toleration,
)
from millpond_policies.world.nodes import Pool, Power, Taint, Zone

from kube.hostile import json_values

MI = 1 << 20


def asking(cpu: str, memory: str = "0", **more: Any) -> dict[str, Any]:
    return {"name": f"c{cpu}", "resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


def sidecar(cpu: str) -> dict[str, Any]:
    return asking(cpu, restartPolicy="Always")


RESIZED = {"containerStatuses": [{"name": "c100m", "resources": {"requests": {"cpu": "400m"}}}]}
ALLOCATED = {"containerStatuses": [{"name": "c100m", "allocatedResources": {"cpu": "300m"}}]}


@pytest.mark.parametrize(
    ("spec", "status", "cpu_m"),
    [
        pytest.param({"containers": [asking("100m"), asking("1")]}, {}, 1100, id="containers together"),
        pytest.param(
            {"containers": [asking("1")], "initContainers": [asking("2"), asking("3")]},
            {},
            3000,
            id="the largest init container, where it asks for more",
        ),
        pytest.param(
            {"containers": [asking("1")], "initContainers": [sidecar("500m")]},
            {},
            1500,
            id="a sidecar runs beside the containers",
        ),
        pytest.param(
            {"containers": [asking("1")], "initContainers": [sidecar("500m"), asking("2")]},
            {},
            2500,
            id="an init container runs beside the sidecars before it",
        ),
        pytest.param(
            {"containers": [asking("1")], "initContainers": [asking("2"), sidecar("500m")]},
            {},
            2000,
            id="and not beside those after it",
        ),
        pytest.param({"containers": [asking("1")], "overhead": {"cpu": "250m"}}, {}, 1250, id="overhead"),
        pytest.param(
            {"containers": [{"resources": {"limits": {"cpu": "2"}}}]},
            {},
            2000,
            id="a limit is also requested",
        ),
        pytest.param(
            {"containers": [asking("1")], "resources": {"requests": {"cpu": "4"}}},
            {},
            4000,
            id="the pod's own requests in their place",
        ),
        pytest.param({"containers": [asking("100m")]}, RESIZED, 400, id="it is being made smaller"),
        pytest.param({"containers": [asking("100m")]}, ALLOCATED, 300, id="as its node allocated it"),
        pytest.param({"containers": [asking("1.0005")]}, {}, 1001, id="rounded up to thousandths"),
        pytest.param({}, {}, 0, id="nothing"),
    ],
)
def test_requests_are_added_up_as_kubernetes_does(spec: Any, status: Any, cpu_m: int) -> None:
    assert requests(spec, status) == Resources(cpu_m=cpu_m, memory_bytes=0, pods=1)


@pytest.mark.parametrize("cpu", ["many", "-1", "NaN", None, [], True, "1" * 100])
def test_what_cannot_be_read_is_unknown_and_not_zero(cpu: Any) -> None:
    spec = {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}
    assert requests(spec) is None
    pods = [pod_on_node({"spec": {**spec, "nodeName": "n1"}}), pod_on_node({"spec": {"nodeName": "n2"}})]
    assert added_up(pods) == {"n1": None, "n2": Resources(pods=1)}


@pytest.mark.parametrize(
    ("text", "units"),
    [("1.5Gi", 1536 * MI), ("1E", 10**18), ("2e3", 2000), ("1n", 1), (3, 3), ("1e400", quantity.LARGEST)],
)
def test_quantities_are_whole_units_rounded_up(text: object, units: int) -> None:
    assert quantity.counted(text) == units


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        pytest.param({}, Constraints(), id="none: everywhere"),
        pytest.param(
            {"nodeSelector": {"zone": "1", "disk": "ssd"}},
            Constraints(selector=(("disk", "ssd"), ("zone", "1"))),
            id="a node selector",
        ),
        pytest.param(
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["1"]}]},
                                {
                                    "matchFields": [
                                        {"key": "metadata.name", "operator": "In", "values": ["n1"]}
                                    ]
                                },
                            ]
                        },
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}],
                    }
                }
            },
            Constraints(
                affinity=(
                    NodeTerm(labels=(Requirement(key="zone", operator=Operator.IN, values=("1",)),)),
                    NodeTerm(
                        fields=(Requirement(key="metadata.name", operator=Operator.IN, values=("n1",)),)
                    ),
                )
            ),
            id="required node affinity; what is preferred bars nothing",
        ),
        pytest.param(
            {"tolerations": [{"operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoSchedule"}]},
            Constraints(tolerations=(Toleration(), Toleration(key="k", value="v", effect="NoSchedule"))),
            id="tolerations",
        ),
        pytest.param(
            {
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "zone",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app": "a"}},
                    },
                    {"maxSkew": 1, "topologyKey": "host", "whenUnsatisfiable": "ScheduleAnyway", "x": 1},
                ]
            },
            Constraints(spread=(Spread(topology_key="zone", max_skew=1, labels=(("app", "a"),)),)),
            id="a spread that bars nodes",
        ),
    ],
)
def test_constraints_that_are_understood(spec: Any, found: Constraints) -> None:
    assert constraints(spec) == found


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("spec", "unknown"),
    [
        pytest.param(
            {"affinity": {"podAntiAffinity": {REQUIRED: [{}]}}}, "affinity.podAntiAffinity", id="other pods"
        ),
        pytest.param(
            {"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}, "volumes", id="a volume's place"
        ),
        pytest.param({"containers": [{"ports": [{"hostPort": 80}]}]}, "hostPort", id="a port of the node"),
        pytest.param({"schedulerName": "other"}, "schedulerName", id="another scheduler"),
        pytest.param(
            {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
            "resources.nvidia.com/gpu",
            id="a resource that is not counted",
        ),
        pytest.param(
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "minDomains": 2}]},
            "topologySpreadConstraints",
            id="a spread with more to it",
        ),
        pytest.param({"tolerations": [{"key": "k", "operator": "Gt"}]}, "tolerations", id="a new operator"),
        pytest.param({"nodeSelector": "everywhere"}, "nodeSelector", id="no selector"),
    ],
)
def test_what_is_not_understood_is_named(spec: Any, unknown: str) -> None:
    assert constraints(spec) == Constraints(unknown=(unknown,))


@given(json_values)
@settings(max_examples=300, deadline=None)
def test_there_is_an_answer_for_any_json(value: Any) -> None:
    for spec in (
        {"containers": value, "initContainers": value, "tolerations": value, "overhead": value},
        {"affinity": value, "nodeSelector": value, "volumes": value, "topologySpreadConstraints": value},
        {
            "affinity": {"nodeAffinity": {REQUIRED: value}},
            "containers": [{"resources": value, "ports": value}],
        },
        {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": value}}}, "resources": value},
    ):
        constraints(spec)
        requests(spec, {"containerStatuses": value})
    pools({"a": {"spec": value}, "b": {"spec": {"nodeSelector": value, "zone": value}}})


def test_a_node_says_what_it_has_and_what_keeps_pods_away() -> None:
    raw = {
        "metadata": {"name": "n1", "labels": {"pool": "a"}},
        "spec": {"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    found = node(raw)
    assert found.allocatable == Resources(cpu_m=3920, memory_bytes=15 * 1024 * MI, pods=110)
    assert found.taints == (Taint(key="k", effect="NoSchedule"),)
    assert (found.labels, found.cordoned, found.ready, found.power) == ({"pool": "a"}, True, True, Power.ON)
    assert found.free is None, "who knows what runs there"


def test_a_node_that_has_said_nothing_yet_is_unknown() -> None:
    found = node({"metadata": {"name": "n1"}})
    assert (found.allocatable, found.ready, found.power) == (None, False, Power.UNKNOWN)


def test_finished_pods_take_no_room_and_pods_that_end_still_do() -> None:
    spec = {"nodeName": "n1", "containers": [asking("1")]}
    ended = pod_on_node({"spec": spec, "status": {"phase": "Succeeded"}})
    ending = pod_on_node(
        {"metadata": {"deletionTimestamp": "x"}, "spec": spec, "status": {"phase": "Running"}}
    )
    assert added_up([ended, ending]) == {"n1": Resources(cpu_m=1000, pods=1)}


def test_pools_that_cannot_be_read_are_left_out() -> None:
    raw = {
        "b": {"spec": {"nodeSelector": {"pool": "b"}, "zone": "Static"}},
        "a": {"spec": {"nodeSelector": {}}},
    }
    odd = {
        "c": {"spec": {"nodeSelector": {"pool": 1}}},
        "d": {"spec": {"nodeSelector": {}, "zone": "Elsewhere"}},
    }
    assert pools(raw | odd) == (Pool(name="a"), Pool(name="b", zone=Zone.STATIC, selector={"pool": "b"}))
