"""What Millpond adds to the pod template that was applied."""

from typing import Any

import pytest

from millpond.control.act.template import PRESTOP_S, server_template

from kube.builders import app

SLEEPS = {"sleep": {"seconds": PRESTOP_S}}
Raw = dict[str, Any]


def made(*containers: Any, drain: Raw | None = None, **pod: Any) -> Raw:
    """The spec of the pod that is made from these containers."""
    candidate = app(**({"drain": drain} if drain else {}))
    edition = {"spec": {"edition": "v1", "template": {"spec": {"containers": list(containers), **pod}}}}
    spec: Raw = server_template(candidate, edition)["spec"]
    return spec


def hooks(spec: Raw) -> list[Any]:
    return [(c.get("lifecycle") or {}).get("preStop") for c in spec["containers"]]


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        pytest.param([{"name": "a"}], [SLEEPS], id="the only one"),
        pytest.param([{"name": "a"}, {"name": "b"}], [SLEEPS, None], id="no port declared: the first"),
        pytest.param(
            [
                {"name": "a", "ports": [{"containerPort": 9}]},
                {"name": "b", "ports": [{"containerPort": 8080}]},
            ],
            [None, SLEEPS],
            id="the one that declares the port",
        ),
        pytest.param(
            [{"name": "a", "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}],
            [{"exec": {"command": ["x"]}}],
            id="its own hook is left alone",
        ),
        pytest.param(
            [{"name": "a", "lifecycle": {"postStart": {}}}], [SLEEPS], id="another hook is no obstacle"
        ),
        pytest.param([{"name": "a", "lifecycle": None}], [SLEEPS], id="null is none"),
    ],
)
def test_the_container_that_serves_outlives_its_deletion_for_a_moment(containers, expected):
    assert hooks(made(*containers)) == expected


def test_other_hooks_of_the_container_are_kept():
    post = {"exec": {"command": ["x"]}}
    (container,) = made({"name": "a", "lifecycle": {"postStart": post}})["containers"]
    assert container["lifecycle"] == {"postStart": post, "preStop": SLEEPS}


@pytest.mark.parametrize(
    "containers",
    [
        pytest.param(["text"], id="no object"),
        pytest.param([{"name": "a", "lifecycle": "text"}], id="no hooks"),
        pytest.param([], id="none"),
    ],
)
def test_what_the_api_server_will_refuse_is_left_to_it(containers):
    assert made(*containers)["containers"] == containers


@pytest.mark.parametrize("ports", ["text", [8080], [{"name": "http"}]])
def test_ports_of_another_form_declare_nothing(ports):
    assert hooks(made({"name": "a"}, {"name": "b", "ports": ports})) == [SLEEPS, None]


@pytest.mark.parametrize(
    ("drain", "own", "grace_s"),
    [
        pytest.param({"timeout": "40s"}, None, 40 + PRESTOP_S, id="the drain and the sleep"),
        pytest.param({"timeout": "40s"}, 90, 90, id="its own, when longer"),
        pytest.param({"timeout": "40s"}, 41, 40 + PRESTOP_S, id="not when shorter"),
        pytest.param(
            {"timeout": "5s", "streamTimeout": "1h"}, None, 3600 + PRESTOP_S, id="streams last longest"
        ),
        pytest.param({"timeout": "500ms"}, None, 30, id="never less than Kubernetes' default"),
        pytest.param({"timeout": "40s"}, "text", "text", id="for the API server to refuse"),
    ],
)
def test_the_grace_period_covers_the_longest_drain(drain, own, grace_s):
    more = {} if own is None else {"terminationGracePeriodSeconds": own}
    assert made({"name": "a"}, drain=drain, **more)["terminationGracePeriodSeconds"] == grace_s
