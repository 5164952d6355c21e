"""Least privilege: what the operator may do is listed here, and nothing else is granted."""

from typing import Any

import yaml

from millpond import paths
from millpond.local.cluster.chart import IDENTITY

FILES = (IDENTITY, paths.chart() / "templates" / "roles.yaml")
DOCUMENTS = [document for file in FILES for document in yaml.safe_load_all(file.read_text())]


def rules(kind: str, name: str) -> list[dict[str, Any]]:
    (found,) = (d for d in DOCUMENTS if d["kind"] == kind and d["metadata"]["name"] == name)
    granted: list[dict[str, Any]] = found["rules"]
    return granted


def granted(kind: str, name: str) -> set[tuple[str, str]]:
    return {(r, verb) for rule in rules(kind, name) for r in rule["resources"] for verb in rule["verbs"]}


def test_no_role_has_wildcards() -> None:
    for document in DOCUMENTS:
        for rule in document.get("rules", []):
            assert not any("*" in rule[part] for part in ("apiGroups", "resources", "verbs"))


def test_the_operator_cannot_widen_its_own_rights_nor_act_as_another() -> None:
    verbs = {verb for _, verb in granted("ClusterRole", "millpond-operator")}
    resources = {resource for resource, _ in granted("ClusterRole", "millpond-operator")}
    assert not verbs & {"escalate", "bind", "impersonate", "deletecollection"}
    assert not resources & {"secrets", "configmaps", "serviceaccounts", "serviceaccounts/token", "pods/exec"}
    assert not resources & {"clusterroles", "roles", "rolebindings", "clusterrolebindings"}


def test_the_operator_never_deletes_pods_nor_nodes_nor_apps() -> None:
    deletable = {r for r, verb in granted("ClusterRole", "millpond-operator") if verb == "delete"}
    assert deletable == {"editions"}, "their ReplicaSets go with them"


def test_in_its_own_namespace_the_operator_writes_one_lease_two_secrets_and_the_labels_of_its_pods() -> None:
    own = rules("Role", "millpond-operator")
    named = [rule for rule in own if "resourceNames" in rule]
    assert {(rule["resources"][0], *rule["verbs"]) for rule in own if rule not in named} == {
        ("leases", "create"),
        ("secrets", "create"),
        ("pods", "get", "list", "watch", "patch"),  # who leads is the endpoint of the routers' Service
    }
    assert {rule["resources"][0]: rule["resourceNames"] for rule in named} == {
        "leases": ["millpond-operator"],
        "secrets": ["millpond-xds-ca", "millpond-xds-router"],
    }
    assert "leases" not in {r for r, _ in granted("ClusterRole", "millpond-operator")}


def test_tenants_change_their_apps_and_only_read_editions_policies_and_pools() -> None:
    writable = {r for r, _ in granted("ClusterRole", "millpond-edit")}
    assert writable == {"elasticapps", "elasticapps/scale"}
    for role in ("millpond-view", "millpond-catalog-view"):
        assert {verb for _, verb in granted("ClusterRole", role)} == {"get", "list", "watch"}


def test_only_the_role_for_approvers_may_approve_and_nobody_has_it_by_default() -> None:
    named = [
        d for d in DOCUMENTS if d["kind"].endswith("Role") and d["metadata"]["name"] != "millpond-approver"
    ]
    verbs = {verb for document in named for rule in document["rules"] for verb in rule["verbs"]}
    assert "approve" not in verbs
    expected = {("editions", verb) for verb in ("get", "list", "watch", "patch", "approve")}
    assert granted("ClusterRole", "millpond-approver") == expected
    (role,) = (d for d in DOCUMENTS if d["metadata"]["name"] == "millpond-approver")
    assert role["metadata"]["labels"].keys() == {"app.kubernetes.io/name", "app.kubernetes.io/part-of"}
    assert "millpond-approver" not in {d["roleRef"]["name"] for d in DOCUMENTS if "roleRef" in d}


def test_the_operator_reads_namespaces_and_only_admins_say_whose_hosts_are_whose() -> None:
    assert {verb for r, verb in granted("ClusterRole", "millpond-operator") if r == "namespaces"} == {
        "get",
        "list",
        "watch",
    }
    ours = [d for d in DOCUMENTS if d["kind"] in ("ClusterRole", "Role")]
    writers = [
        d["metadata"]["name"]
        for d in ours
        for rule in d.get("rules", [])
        if "namespaces" in rule["resources"] and set(rule["verbs"]) - {"get", "list", "watch"}
    ]
    assert writers == []
