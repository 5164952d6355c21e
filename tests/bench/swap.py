"""A new edition on a real control plane: from its `apply` to its first answer, less the start of its server."""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from tests.bench.figures import Figure
from tests.bench.retire import on_a_cluster

EDITIONS = 6
_LONGEST_S = 60.0


def figures() -> Iterable[Figure]:
    overheads_s = on_a_cluster(_swap)
    of = f"new edition, apply to first answer less server start ({len(overheads_s)} runs)"
    yield Figure(what=f"{of}, median", goal=1.0, reached=statistics.median(overheads_s), unit="s")
    yield Figure(what=f"{of}, longest", goal=1.0, reached=max(overheads_s), unit="s")


def _swap(product: Any, namespace: str) -> Sequence[float]:
    from e2e.product import elastic_app

    how = {"rollout": {"strategy": "Atomic", "soak": "0s"}, "mode": "Manual", "replicas": 1}
    product.apply(elastic_app(namespace, **how))
    product.wait_serving(namespace, 1, timeout_s=60)
    return [_one(product, namespace, f"v{n}", how) for n in range(2, EDITIONS + 2)]


def _one(product: Any, namespace: str, edition: str, how: dict[str, Any]) -> float:
    """The server's start: from its pod's creation until its containers are ready, as the audit log has it."""
    from e2e.audit import start_s
    from e2e.product import elastic_app, template
    from waiting import eventually

    env = template(SLOTS=edition.removeprefix("v"))
    applied_s = time.time()
    product.apply(elastic_app(namespace, edition=edition, template=env, **how))
    first_s = _first_answer_s(product, namespace, edition)
    eventually(lambda: len(product.pods(namespace)) == 1, 90, "the old edition has gone")
    return first_s - applied_s - start_s(product.cluster.audit_log, namespace, f"web-{edition}-")


def _first_answer_s(product: Any, namespace: str, edition: str) -> float:
    deadline = time.monotonic() + _LONGEST_S
    with httpx.Client(timeout=10, headers={"Host": f"web.{namespace}.test"}) as client:
        while time.monotonic() < deadline:
            answer = client.get(f"http://{product.addresses['r1']}/")
            if answer.json().get("server", "").startswith(f"web-{edition}-"):
                return time.time()
    raise TimeoutError(f"{edition} did not answer within {_LONGEST_S:.0f} s")
