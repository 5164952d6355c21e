"""Of the operators of the chart one leads: routers reach that one, Prometheus all, and no disruption takes both."""

import pytest

from millpond.api.names import LABEL_LEADER

from chart.helms import Helm
from chart.rendering import Document, render
from chart.sets import EVERYTHING


def only(documents: list[Document], kind: str, name: str) -> Document:
    (found,) = (d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)
    return found


@pytest.mark.parametrize(("values", "replicas"), [({}, 2), (EVERYTHING, 3)], ids=["defaults", "everything"])
def test_so_many_operators_are_made_on_different_nodes(helm: Helm, values: Document, replicas: int) -> None:
    spec = only(render(helm, values), "Deployment", "millpond-operator")["spec"]
    assert spec["replicas"] == replicas
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    wanted = values.get("operator", {}).get("affinity")
    affinity = spec["template"]["spec"]["affinity"]
    assert affinity == wanted if wanted else "podAntiAffinity" in affinity


def test_routers_reach_the_operator_that_leads_and_prometheus_all(helm: Helm) -> None:
    documents = render(helm, {})
    pod = only(documents, "Deployment", "millpond-operator")["spec"]["template"]
    routers = only(documents, "Service", "millpond-operator")["spec"]
    prometheus = only(documents, "Service", "millpond-operator-metrics")["spec"]
    labels = pod["metadata"]["labels"]
    assert LABEL_LEADER not in labels, "an operator puts it there itself"
    assert routers["selector"] == prometheus["selector"] | {LABEL_LEADER: "true"}
    assert prometheus["selector"].items() <= labels.items()
    assert [port["name"] for port in routers["ports"]] == ["xds"]
    assert [port["name"] for port in prometheus["ports"]] == ["metrics"]
    env = {
        one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in pod["spec"]["containers"][0]["env"]
    }
    assert env == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}


def test_whoever_stands_by_is_alive_and_ready_by_the_same_probes(helm: Helm) -> None:
    (container,) = only(render(helm, {}), "Deployment", "millpond-operator")["spec"]["template"]["spec"][
        "containers"
    ]
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_one_operator_at_a_time_may_be_evicted(helm: Helm) -> None:
    documents = render(helm, {})
    budget = only(documents, "PodDisruptionBudget", "millpond-operator")["spec"]
    assert budget["maxUnavailable"] == 1
    selector = only(documents, "Deployment", "millpond-operator")["spec"]["selector"]
    assert budget["selector"] == selector


def test_it_may_label_pods_of_its_own_namespace(helm: Helm) -> None:
    rules = only(render(helm, {"watchNamespaces": ["shop"]}), "Role", "millpond-operator")["rules"]
    (pods,) = (rule for rule in rules if rule["resources"] == ["pods"])
    assert set(pods["verbs"]) == {"get", "list", "watch", "patch"}
