"""An operator that may only act in chosen namespaces: one read-only ClusterRole, every write by Roles."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from millpond.local import kubeconfig
from millpond.local.cluster.chart import IDENTITY
from millpond.local.cluster.embedded import Cluster

from waiting import eventually

Raw = dict[str, Any]
NAME = "millpond-operator"
CLUSTER_WIDE = {"slapolicies", "dynamicpools", "nodes", "namespaces", "dynamicpools/status"}


def _rules() -> list[Raw]:
    """What the operator needs in a namespace: its cluster-wide role without what is cluster-wide."""
    documents = yaml.safe_load_all(IDENTITY.read_text())
    (role,) = (d for d in documents if d["kind"] == "ClusterRole" and d["metadata"]["name"] == NAME)
    rules = ({**r, "resources": [n for n in r["resources"] if n not in CLUSTER_WIDE]} for r in role["rules"])
    return [rule for rule in rules if rule["resources"]]


def _own() -> list[Raw]:
    """What it needs where it is itself: Lease and Secrets."""
    documents = yaml.safe_load_all(IDENTITY.read_text())
    (role,) = (d for d in documents if d["kind"] == "Role" and d["metadata"]["name"] == NAME)
    rules: list[Raw] = role["rules"]
    return rules


def _granted(home: str, namespace: str | None, name: str, rules: Sequence[Raw]) -> list[Raw]:
    kind = "Role" if namespace else "ClusterRole"
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": meta, "rules": list(rules)},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": home}],
        },
    ]


def in_namespace(home: str, namespace: str) -> list[Raw]:
    return _granted(home, namespace, NAME, _rules())


@contextmanager
def identity(cluster: Cluster, home: str, namespaces: Sequence[str], folder: Path) -> Iterator[Path]:
    """The kubeconfig of an operator in `home`, which may look at these namespaces but not into them yet."""
    listed = [
        {
            "apiGroups": ["millpond.dev"],
            "resources": ["slapolicies", "dynamicpools"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": list(namespaces)},
    ]
    name = f"{home}-reads"
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": home},
    }
    objects = [account, *_granted(home, None, name, listed), *_granted(home, home, "own", _own())]
    apply(cluster, objects)
    try:
        token = cluster.kubectl("create", "token", NAME, "-n", home).strip()
        path = folder / "namespaced.kubeconfig"
        yield kubeconfig.with_token(
            path, cluster=cluster.name, server=cluster.server, ca=cluster.ca_file, token=token
        )
    finally:
        cluster.kubectl("delete", f"clusterrole/{name}", f"clusterrolebinding/{name}")


def apply(cluster: Cluster, objects: Sequence[Raw]) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(items))


def make_namespace(cluster: Cluster, name: str) -> None:
    cluster.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", f"--namespace={name}")
    eventually(lambda: cluster.kubectl(*account), 30, "the namespace has a default service account")
