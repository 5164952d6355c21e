"""Routers that take everything and acknowledge nothing, and the pods of routers."""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2

from millpond.api.names import NAMESPACE
from millpond.router.envoy.resources import CDS, EDS

from e2e.product import Product
from waiting import eventually

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
