import pytest

from millpond.kube import paths
from millpond.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, Unavailable, error_for


@pytest.mark.parametrize(
    ("path", "expected", "resource"),
    [
        (paths.pods(), "/api/v1/pods", "pods"),
        (paths.pods("a", "b", "status"), "/api/v1/namespaces/a/pods/b/status", "pods/status"),
        (paths.nodes("n"), "/api/v1/nodes/n", "nodes"),
        (paths.namespaces("a"), "/api/v1/namespaces/a", "namespaces"),
        (
            paths.elasticapps("a", "b", "status"),
            "/apis/millpond.dev/v1alpha1/namespaces/a/elasticapps/b/status",
            "elasticapps/status",
        ),
        (paths.slapolicies("gold"), "/apis/millpond.dev/v1alpha1/slapolicies/gold", "slapolicies"),
        (paths.replicasets("a"), "/apis/apps/v1/namespaces/a/replicasets", "replicasets"),
        (paths.leases("a", "l"), "/apis/coordination.k8s.io/v1/namespaces/a/leases/l", "leases"),
        (paths.pods("a/../b", "c"), "/api/v1/namespaces/a%2F..%2Fb/pods/c", "pods"),
    ],
)
def test_paths_and_the_resource_they_are_about(path: str, expected: str, resource: str) -> None:
    assert path == expected
    assert paths.resource(path) == resource


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (422, Invalid),
        (429, Unavailable),
        (503, Unavailable),
        (418, ApiError),
    ],
)
def test_errors_keep_what_the_server_said(status: int, kind: type[ApiError]) -> None:
    error = error_for(status, {"message": "spec.servers.min: too large"}, "PATCH /x")
    assert type(error) is kind
    assert error.status == status
    assert str(error) == "PATCH /x: spec.servers.min: too large"
