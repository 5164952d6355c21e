"""A router that falls silent stops nobody for long: as a pod, as soon as Kubernetes knows that it is lost."""

import json
import queue
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2

from millpond.api.names import NAMESPACE
from millpond.router.envoy.resources import CDS, EDS

from e2e.product import Product, elastic_app
from router.cuts import hung
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
LABELS = {"app.kubernetes.io/name": "millpond", "app.kubernetes.io/component": "router"}


@contextmanager
def connected(product: Product, name: str, stats: str) -> Iterator[None]:
    """A router that comes back with an old configuration, and acknowledges nothing."""
    node = base_pb2.Node(id=name, metadata={"stats": stats})
    requests: queue.SimpleQueue[discovery_pb2.DiscoveryRequest] = queue.SimpleQueue()
    requests.put(discovery_pb2.DiscoveryRequest(node=node, type_url=CDS, version_info="7"))
    requests.put(discovery_pb2.DiscoveryRequest(type_url=EDS, resource_names=["old/app/v1"]))
    with grpc.insecure_channel(product.xds) as channel:
        stream = channel.stream_stream(ADS, discovery_pb2.DiscoveryRequest.SerializeToString)(
            iter(requests.get, None)
        )
        eventually(lambda: name in routers(product), 10, "the operator knows it")
        yield
        stream.cancel()


def routers(product: Product) -> str:
    return str(product.healthz().json()["checks"]["routers"]["detail"])


def make_pod(product: Product, name: str) -> None:
    """Of a router on a node that is no more."""
    container = {"name": "router", "image": "router"}
    spec = {"containers": [container], "nodeName": "no-such-node"}
    meta = {"name": name, "namespace": NAMESPACE, "labels": LABELS}
    product.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    ready = [{"type": "Ready", "status": "True"}]
    status = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "conditions": ready}}
    how = ("-n", NAMESPACE, "--subresource=status", "-p", json.dumps(status))
    product.cluster.kubectl("patch", "pod", name, *how)


@pytest.mark.parametrize(
    ("deleted", "within_s"),
    [
        pytest.param(False, 25.0, id="its node is lost: ten seconds later apps go on"),
        pytest.param(True, 8.0, id="its pod is gone: apps go on at once"),
    ],
)
def test_a_silent_router_of_which(product: Product, namespace: str, deleted: bool, within_s: float) -> None:
    name = f"router-{secrets.token_hex(3)}"
    make_pod(product, name)
    product.apply(elastic_app(namespace, mode="Manual", replicas=1))
    product.wait_serving(namespace)
    with hung() as stats:
        with connected(product, name, stats):
            product.cluster.kubectl("scale", "elasticapp/web", "--replicas=2", "-n", namespace)
            eventually(lambda: product.servers(namespace).get("starting") == 1, 20, "a server starts")
        cut_s = time.monotonic()
        eventually(lambda: f"{name} (cut off, silent for" in routers(product), 5, "health names it")
        eventually(lambda: product.metric("millpond_routers", state="silent") == 1, 5, "and metrics count it")
        assert product.servers(namespace)["ready"] == 1, "nobody knows what it serves"
        if deleted:
            product.cluster.kubectl("delete", "pod", name, "-n", NAMESPACE, "--force", "--grace-period=0")
            cut_s = time.monotonic()
        product.wait_serving(namespace, 2)
        assert time.monotonic() - cut_s < within_s
        assert name not in routers(product)
    product.cluster.kubectl("delete", "pod", name, "-n", NAMESPACE, "--ignore-not-found", "--force")
