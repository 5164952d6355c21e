"""Everybody tries every verb on every kind, everywhere, at the real API server: it equals the documented table."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from millpond.api.names import DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY
from millpond.local.cluster.embedded import Cluster

from api import permissions as p
from api.manifests import Manifest, manifest
from waiting import eventually

pytestmark = pytest.mark.integration

HOME = "millpond-system"
ROLES = {p.VIEW: "view", p.EDIT: "edit", p.ADMIN: "admin", p.APPROVER: "millpond-approver"}
ACCOUNT = f"system:serviceaccount:{HOME}:millpond-operator"
NAME = "matrix"
GATED = {"schedulingGates": [{"name": "never.example/run"}]}
POD = {"containers": [{"name": "app", "image": "example/shop:1"}], **GATED}
MERGE = {"Content-Type": "application/merge-patch+json"}
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
MANIFESTS: dict[str, Manifest] = {
    "elasticapps": manifest(ELASTICAPP, {"pool": "absent"}, name=NAME),
    "editions": manifest(EDITION, name=NAME),
    "slapolicies": manifest(SLAPOLICY, name=NAME),
    "dynamicpools": manifest(DYNAMICPOOL, {"nodeSelector": {"nobody/has": "it"}}, name=NAME),
    "pods": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}, "spec": POD},
    "secrets": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}},
    "nodes": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}},
}  # fmt: skip


@dataclass(frozen=True)
class Land:
    """Two namespaces with one object of each kind, and the users' roles in the first of them."""

    http: httpx.Client
    namespaces: dict[str, str]

    def path(self, place: str, resource: p.Resource, *, one: bool) -> str:
        group = f"/apis/{resource.group}/v1alpha1" if resource.group else "/api/v1"
        where = f"/namespaces/{self.namespaces[place]}" if place in self.namespaces else ""
        named = f"/{resource.name or NAME}/{resource.part}".rstrip("/") if one else ""
        return f"{group}{where}/{resource.plural}{named}"

    def may(self, right: p.Right) -> bool:
        """Whether the API server lets somebody do it; nothing is really written."""
        who, place, resource, verb = right
        if verb == p.APPROVE:
            return self._is_told_so(right)
        one = verb not in ("list", "watch", "create", "deletecollection")
        path = self.path(place, resource, one=one)
        query = {"watch": "true"} if verb == "watch" else {"dryRun": "All"} if METHODS[verb] != "GET" else {}
        headers = {"Impersonate-User": _user(who)} | (MERGE if verb == "patch" else {})
        body = self._body(verb, path, resource)
        with self.http.stream(METHODS[verb], path, params=query, headers=headers, json=body) as answer:
            if answer.is_success:
                return True
            said = answer.read().decode()
        if answer.status_code == 403 and f"cannot {verb} resource" in said:
            return False
        assert (answer.status_code, place) == (404, p.HOME), f"{right}: {answer.status_code} {said}"
        return True

    def _body(self, verb: str, path: str, resource: p.Resource) -> Any:
        """What changes nothing: the object as it is, an empty change, or a new object of another name."""
        if verb == "patch":
            return {}
        if verb == "create":
            return MANIFESTS[resource.plural] | {"metadata": {"name": f"{NAME}-{secrets.token_hex(3)}"}}
        if verb == "update":
            found = self.http.get(path)
            return found.json() if found.is_success else MANIFESTS[resource.plural]
        return None

    def _is_told_so(self, right: p.Right) -> bool:
        who, place, resource, verb = right
        asked = {"namespace": self.namespaces.get(place), "verb": verb, "group": resource.group}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked | {"resource": resource.plural}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.http.post(path, headers={"Impersonate-User": _user(who)}, json=review)
        return bool(answer.raise_for_status().json()["status"]["allowed"])


def _user(who: str) -> str:
    return ACCOUNT if who == p.OPERATOR else f"matrix-{who}"


@pytest.fixture(scope="module")
def land(cluster: Cluster, http: httpx.Client) -> Iterator[Land]:
    own, other = (f"test-{secrets.token_hex(4)}" for _ in range(2))
    made = Land(http, {p.OWN: own, p.OTHER: other, p.HOME: HOME})
    for namespace in (own, other):
        cluster.kubectl("create", "namespace", namespace)
        account = ("get", "serviceaccount", "default", f"--namespace={namespace}")
        eventually(lambda account=account: cluster.kubectl(*account), 30, "its default service account")
    for who, role in ROLES.items():
        what = (f"--clusterrole={role}", f"--user={_user(who)}", f"--namespace={own}")
        cluster.kubectl("create", "rolebinding", who, *what)
    _fill(made, {p.OWN: p.NAMESPACED, p.OTHER: p.NAMESPACED, p.CLUSTER: (*p.CLUSTERED,)})
    for who in ROLES:
        eventually(lambda who=who: made.may((who, p.OWN, p.EDITIONS, "get")), 20, f"the role of {who} counts")
    yield made
    for resource in (p.POLICIES, p.POOLS, p.NODES):
        http.delete(made.path(p.CLUSTER, resource, one=True))
    cluster.kubectl("delete", "namespace", own, other, "--wait=false")


def _fill(land: Land, places: dict[str, tuple[p.Resource, ...]]) -> None:
    for place, resources in places.items():
        for resource in resources:
            if not resource.part:
                _make(land.http, land.path(place, resource, one=False), MANIFESTS[resource.plural])


def _make(http: httpx.Client, path: str, made: Manifest) -> None:
    """The API server's policies learn of our kinds some seconds after it serves those."""

    def is_made() -> bool:
        answer = http.post(path, json=made)
        assert answer.is_success, answer.text
        return True

    eventually(is_made, 30, f"{path} takes a new object")


@pytest.mark.parametrize("who", p.WHO)
def test_each_may_do_what_the_table_says_and_nothing_else(land: Land, who: str) -> None:
    asked = {right for right in p.asked() if right[0] == who}
    allowed = {right[1:] for right in asked if land.may(right)}
    granted = {right[1:] for right in p.TABLE if right[0] == who}
    assert _shown(allowed) == _shown(granted)


def test_the_table_says_nothing_that_is_not_tried() -> None:
    assert p.asked() >= p.TABLE
    assert {right[2].plural for right in p.asked()} == MANIFESTS.keys()


def _shown(rights: set[tuple[str, p.Resource, str]]) -> set[str]:
    return {f"{verb} {resource.title} {p.PLACES[place]}" for place, resource, verb in rights}
