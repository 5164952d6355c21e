"""What the rendered chart grants, in the whole cluster or in chosen namespaces."""

from collections.abc import Iterable

import pytest
import yaml

from millpond import paths
from millpond.local.cluster import chart

from chart.helms import Helm
from chart.rendering import RELEASE_NAMESPACE, Document, render, title
from chart.sets import EVERYTHING, NAMESPACES, SETS

RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
OPERATOR = {"kind": "ServiceAccount", "name": "millpond-operator", "namespace": RELEASE_NAMESPACE}
READ = {"get", "list", "watch"}
CHOSEN = {"watchNamespaces": list(NAMESPACES)}
Grant = tuple[str, str]
"""Resource, verb."""


def bindings(documents: Iterable[Document], kind: str) -> list[Document]:
    return [d for d in documents if d["kind"] == kind and OPERATOR in (d.get("subjects") or [])]


def rules(documents: Iterable[Document], binding: Document) -> list[Document]:
    """Of the role that a binding names; it is rendered, too."""
    kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
    where = binding["metadata"].get("namespace") if kind == "Role" else None
    (role,) = (
        d
        for d in documents
        if d["kind"] == kind and d["metadata"]["name"] == name and d["metadata"].get("namespace") == where
    )
    found: list[Document] = role["rules"]
    return found


def granted(documents: list[Document], namespace: str | None) -> set[Grant]:
    """To the operator: in a namespace by Roles there, or (None) in the whole cluster."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    found = [b for b in bindings(documents, kind) if b["metadata"].get("namespace") == namespace]
    return {
        (resource, verb)
        for binding in found
        for rule in rules(documents, binding)
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())
def test_no_role_has_wildcards_or_widens_rights(helm: Helm, values: Document) -> None:
    for role in (d for d in render(helm, values) if d["kind"] in ("Role", "ClusterRole")):
        for rule in role["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}, role["metadata"]
            assert not {"escalate", "bind", "impersonate", "deletecollection"} & {*rule["verbs"]} or (
                role["metadata"]["name"] == "millpond-edit"
            )
            assert "nonResourceURLs" not in rule


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING, CHOSEN], ids=["defaults", "everything", "chosen namespaces"]
)
def test_secrets_are_the_business_of_the_releases_namespace_alone(helm: Helm, values: Document) -> None:
    documents = render(helm, values)
    for role in (d for d in documents if d["kind"] in ("Role", "ClusterRole")):
        for rule in role["rules"]:
            if "secrets" in rule["resources"]:
                assert (role["kind"], role["metadata"]["namespace"]) == ("Role", RELEASE_NAMESPACE)
                assert rule["verbs"] == ["create"] or rule["resourceNames"] == [
                    "millpond-xds-ca",
                    "millpond-xds-router",
                ]


@pytest.mark.parametrize("values", [{}, CHOSEN], ids=["the whole cluster", "chosen namespaces"])
def test_the_operator_never_writes_nodes_nor_pools_specs_nor_policies(helm: Helm, values: Document) -> None:
    documents = render(helm, values)
    everywhere = {
        grant for place in (None, RELEASE_NAMESPACE, *NAMESPACES) for grant in granted(documents, place)
    }
    for resource in ("nodes", "nodes/status", "slapolicies", "dynamicpools", "elasticapps", "namespaces"):
        assert {verb for name, verb in everywhere if name == resource} <= READ
    assert ("pods", "delete") not in everywhere


def test_in_chosen_namespaces_one_cluster_role_is_the_operators_and_only_reads(helm: Helm) -> None:
    documents = render(helm, CHOSEN)
    assert len(bindings(documents, "ClusterRoleBinding")) == 1
    whole = granted(documents, None)
    assert {verb for _, verb in whole} <= READ
    assert {resource for resource, _ in whole} == {"slapolicies", "dynamicpools", "nodes", "namespaces"}
    (namespaces,) = (
        rule
        for rule in rules(documents, bindings(documents, "ClusterRoleBinding")[0])
        if "namespaces" in rule["resources"]
    )
    assert namespaces["resourceNames"] == list(NAMESPACES)
    for binding in bindings(documents, "RoleBinding"):
        assert binding["roleRef"]["kind"] == "Role"


def test_what_it_may_do_in_a_chosen_namespace_is_what_it_may_do_in_the_whole_cluster(helm: Helm) -> None:
    chosen, whole = render(helm, CHOSEN), granted(render(helm, {}), None)
    beyond = {"slapolicies", "dynamicpools", "dynamicpools/status", "nodes", "namespaces"}
    for namespace in NAMESPACES:
        assert granted(chosen, namespace) == {grant for grant in whole if grant[0] not in beyond}
    assert granted(chosen, RELEASE_NAMESPACE) == granted(render(helm, {}), RELEASE_NAMESPACE)


@pytest.mark.parametrize(
    "values", [{}, CHOSEN, EVERYTHING], ids=["defaults", "chosen namespaces", "everything"]
)
def test_only_the_operator_has_a_token_and_nobody_uses_the_default_account(
    helm: Helm, values: Document
) -> None:
    for document in render(helm, values):
        if document["kind"] in ("Deployment", "Job"):
            pod = document["spec"]["template"]["spec"]
            operator = document["metadata"]["name"] == "millpond-operator"
            assert pod.get("automountServiceAccountToken", True) is operator, document["metadata"]["name"]


def test_an_embedded_cluster_gives_the_operator_what_helm_gives_it(helm: Helm) -> None:
    rendered = yaml.safe_load_all(helm.render(paths.chart(), {}, namespace=chart.NAMESPACE))
    given = list(yaml.safe_load_all(chart.IDENTITY.read_text()))
    assert given[0]["kind"] == "Namespace"
    expected = [
        d for d in rendered if d and d["kind"] in RIGHTS and d["metadata"]["name"] == "millpond-operator"
    ]
    assert sorted(given[1:], key=title) == sorted(expected, key=title), "run `make manifests`"
