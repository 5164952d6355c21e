"""What the API server lets the operator and tenants do."""

import pytest

from millpond.local.cluster.embedded import Cluster, KubectlError

from waiting import eventually

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("verb", "resource", "where", "may"),
    [
        pytest.param("watch", "elasticapps.millpond.dev", "--all-namespaces", True, id="it watches apps"),
        pytest.param("patch", "elasticapps.millpond.dev/status", "default", True, id="it writes their status"),
        pytest.param("create", "editions.millpond.dev", "default", True, id="it makes editions"),
        pytest.param("create", "replicasets.apps", "default", True, id="it makes ReplicaSets, and tries them out"),
        pytest.param("create", "pods", "default", False, id="it makes no pods itself"),
        pytest.param("patch", "pods/status", "default", True, id="it opens and closes the gate"),
        pytest.param("update", "leases.coordination.k8s.io/millpond-operator", "millpond-system", True, id="its lease"),
        pytest.param("update", "leases.coordination.k8s.io/other", "millpond-system", False, id="no other lease"),
        pytest.param("update", "leases.coordination.k8s.io/millpond-operator", "default", False, id="nor elsewhere"),
        pytest.param("get", "secrets", "default", False, id="no secrets"),
        pytest.param("delete", "pods", "default", False, id="it deletes no pods"),
        pytest.param("patch", "elasticapps.millpond.dev", "default", False, id="it changes no specs"),
        pytest.param("delete", "elasticapps.millpond.dev", "default", False, id="it deletes no apps"),
        pytest.param("create", "pods/exec", "default", False, id="it runs nothing in pods"),
        pytest.param("watch", "namespaces", "--all-namespaces", True, id="it watches the grants of hosts"),
        pytest.param("patch", "namespaces", "default", False, id="it grants no hosts"),
        pytest.param("patch", "nodes", "--all-namespaces", False, id="it changes no nodes"),
    ],
)  # fmt: skip
def test_the_operator_may_do_what_it_needs_and_no_more(
    cluster: Cluster, verb: str, resource: str, where: str, may: bool
) -> None:
    resource, _, part = resource.partition("/")
    named = f"{resource}/{part}" if part.startswith(("millpond", "other")) else resource
    sub = [f"--subresource={part}"] if part and named == resource else []
    scope = where if where.startswith("--") else f"--namespace={where}"
    who = "--as=system:serviceaccount:millpond-system:millpond-operator"
    try:
        answer = cluster.kubectl("auth", "can-i", verb, named, *sub, scope, who)
    except KubectlError:  # kubectl's way to say no
        answer = "no"
    assert (answer.split()[0] == "yes") is may


@pytest.mark.parametrize(
    ("role", "may"),
    [
        pytest.param("edit", {"create elasticapps", "list editions", "patch elasticapps/scale"}, id="edit"),
        pytest.param("view", {"list editions"}, id="view"),
    ],
)
def test_tenants_get_their_rights_with_kubernetes_own_roles(
    cluster: Cluster, namespace: str, role: str, may: set[str]
) -> None:
    cluster.kubectl(
        "create", "rolebinding", "t", f"--clusterrole={role}", "--user=ann", f"--namespace={namespace}"
    )
    asked = {"create elasticapps", "list editions", "patch elasticapps/scale", "create editions"}

    def allowed() -> set[str]:
        return {what for what in asked if _can(cluster, namespace, what)}

    eventually(lambda: allowed() == may, 20, f"the role {role} allows {may}")


def _can(cluster: Cluster, namespace: str, what: str) -> bool:
    verb, _, resource = what.partition(" ")
    plural, _, sub = resource.partition("/")
    rest = [f"--subresource={sub}"] if sub else []
    where = f"--namespace={namespace}"
    try:
        cluster.kubectl("auth", "can-i", verb, f"{plural}.millpond.dev", where, "--as=ann", *rest)
    except KubectlError:
        return False
    return True


@pytest.mark.parametrize("role", ["edit", "admin"])
def test_tenants_cannot_grant_themselves_hosts(cluster: Cluster, namespace: str, role: str) -> None:
    cluster.kubectl(
        "create", "rolebinding", "t", f"--clusterrole={role}", "--user=ann", f"--namespace={namespace}"
    )
    eventually(lambda: _can(cluster, namespace, "create elasticapps"), 20, f"{role} is in effect")
    grant = ("annotate", "namespace", namespace, "millpond.dev/hosts=*", "--as=ann")
    with pytest.raises(KubectlError, match="cannot patch resource"):
        cluster.kubectl(*grant)
