"""The cluster that other tests share."""

import pytest

from millpond.cluster.embedded import Cluster

pytestmark = pytest.mark.integration


def test_the_api_server_serves_the_custom_resources(cluster: Cluster) -> None:
    served = cluster.kubectl("api-resources", "--api-group=millpond.dev", "--output=name")
    assert "elasticapps.millpond.dev" in served.split()


def test_a_fresh_namespace_is_empty(cluster: Cluster, namespace: str) -> None:
    assert cluster.kubectl("get", "pods", "--namespace", namespace) == ""
