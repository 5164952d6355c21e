"""What Helm renders is valid, to the letter, for a real API server; and its pods are restricted ones."""

import json

import pytest
import yaml

from millpond import paths
from millpond.local.cluster.embedded import Cluster, KubectlError

from chart.helms import Helm
from chart.rendering import Document, pods, render, title
from chart.sets import EVERYTHING, SETS

ABOUT = pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())


@ABOUT
def test_every_helm_has_nothing_to_complain_about(each_helm: Helm, values: Document) -> None:
    each_helm.lint(paths.chart(), values)


@ABOUT
def test_every_helm_renders_the_same(each_helm: Helm, helm: Helm, values: Document) -> None:
    documents = render(each_helm, values)
    assert documents == render(helm, values)
    titles = [title(document) for document in documents]
    assert len(titles) == len(set(titles)), "no object is there twice"


def test_every_object_and_pod_is_found_by_its_label(helm: Helm) -> None:
    documents = render(helm, EVERYTHING)
    labels = {title(document): document["metadata"].get("labels", {}) for document in documents}
    labels |= {f"pod of {of}": pod["metadata"].get("labels", {}) for of, pod in pods(documents)}
    assert [
        what for what, known in labels.items() if known.get("app.kubernetes.io/part-of") != "millpond"
    ] == []


@pytest.fixture(scope="module")
def taken() -> set[str]:
    """Documents that the API server found valid: what many values have in common is tried once."""
    return set()


@pytest.mark.integration
@ABOUT
def test_the_api_server_takes_all_of_it(
    cluster: Cluster, definitions: None, release: str, helm: Helm, values: Document, taken: set[str]
) -> None:
    documents = {json.dumps(document): document for document in render(helm, values)}
    _apply(cluster, [document for text, document in documents.items() if text not in taken])
    taken.update(documents)


@pytest.mark.integration
def test_the_api_server_takes_the_examples_of_gateways_and_ingresses(
    cluster: Cluster, definitions: None, release: str
) -> None:
    for file in (paths.examples() / "ingress").glob("*.yaml"):
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
        for document in documents:
            document["metadata"]["namespace"] = release
        _apply(cluster, documents)


@pytest.mark.integration
def test_the_api_server_refuses_what_it_does_not_know(
    cluster: Cluster, definitions: None, release: str, helm: Helm
) -> None:
    for document in render(helm, EVERYTHING):
        if document["kind"] in ("Deployment", "ServiceMonitor", "Certificate", "NetworkPolicy"):
            document["spec"]["typo"] = 1
            with pytest.raises(KubectlError, match=r'unknown field "(spec\.)?typo"'):
                _apply(cluster, [document])


@pytest.mark.integration
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["the defaults", "everything"])
def test_its_pods_are_admitted_where_only_restricted_ones_are(
    cluster: Cluster, release: str, helm: Helm, values: Document
) -> None:
    workloads = dict(pods(render(helm, values)))
    assert {name.partition(" ")[0] for name in workloads} == {"Deployment", "Job", "Pod"}
    _make_accounts(cluster, release, workloads)
    _apply(cluster, _placed(workloads, release))


@pytest.mark.integration
def test_a_pod_that_is_not_restricted_is_refused_there(cluster: Cluster, release: str, helm: Helm) -> None:
    workloads = dict(pods(render(helm, {})))
    _make_accounts(cluster, release, workloads)
    for pod in _placed(workloads, release):
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(KubectlError, match="violates PodSecurity"):
            _apply(cluster, [pod])


def _placed(workloads: dict[str, Document], namespace: str) -> list[Document]:
    return [{**pod, "metadata": {**pod["metadata"], "namespace": namespace}} for pod in workloads.values()]


def _make_accounts(cluster: Cluster, namespace: str, workloads: dict[str, Document]) -> None:
    names = {pod["spec"].get("serviceAccountName", "default") for pod in workloads.values()}
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    made = [{**account, "metadata": {"name": name, "namespace": namespace}} for name in names]
    _apply(cluster, made, "--server-side")


def _apply(cluster: Cluster, documents: list[Document], *how: str) -> None:
    """To the letter, and only tried, if not said otherwise."""
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    flags = how or ("--dry-run=server",)
    if documents:
        cluster.kubectl("apply", "--validate=strict", *flags, "--filename=-", stdin=json.dumps(listed))
