"""Retiring idle servers on a real control plane, one after the other: from the intent to the deletionTimestamp."""

import os
import secrets
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from millpond.local.cluster.embedded import Cluster, NodeSpec

from tests.bench.figures import Figure

SERVERS = 8


def figures() -> Iterable[Figure]:
    took_s = on_a_cluster(_retire_all_but_one)
    of = f"idle server retired, intent to deletion ({len(took_s)} runs)"
    yield Figure(what=f"{of}, median", goal=2.0, reached=statistics.median(took_s), unit="s")
    yield Figure(what=f"{of}, longest", goal=2.0, reached=max(took_s), unit="s")


def on_a_cluster(measure: Callable[[Any, str], Sequence[float]]) -> Sequence[float]:
    """``measure(product, namespace)`` with the whole product on a cluster of its own."""
    from e2e.product import GOLD, POOL, Product

    with tempfile.TemporaryDirectory(prefix="mp-") as folder:
        os.environ["XDG_STATE_HOME"] = folder  # the user's own clusters are none of our business
        nodes = [NodeSpec("node-1", labels={"millpond.dev/pool": "default"})]
        with Cluster.start(f"bench-{secrets.token_hex(3)}", nodes=nodes, progress=_silent) as cluster:
            cluster.install_chart()
            product = Product(cluster, Path(folder))
            try:
                product.start()
                product.apply(GOLD, POOL)
                return measure(product, _namespace(cluster))
            finally:
                product.stop()


def _namespace(cluster: Cluster) -> str:
    from waiting import eventually

    name = "bench"
    cluster.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", f"--namespace={name}")
    eventually(lambda: cluster.kubectl(*account), 30, "pods can be made")
    return name


def _retire_all_but_one(product: Any, namespace: str) -> Sequence[float]:
    from e2e.audit import retire_s
    from e2e.product import elastic_app

    limits = {"min": 1, "max": SERVERS}
    product.apply(elastic_app(namespace, mode="Manual", replicas=SERVERS, servers=limits))
    product.wait_serving(namespace, SERVERS, timeout_s=90)
    product.cluster.kubectl("scale", "elasticapp/web", "--replicas=1", "-n", namespace)
    product.wait_serving(namespace, 1, timeout_s=30 * SERVERS)
    assert product.cluster.audit_log is not None
    return retire_s(product.cluster.audit_log, namespace)


def _silent(text: str) -> None:
    pass
