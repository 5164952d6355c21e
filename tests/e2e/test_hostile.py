"""Two tenants, one hostile: whatever that one applies, and however long its namespace hangs, the other is served."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from millpond.api.names import RETIRE_ANNOTATION
from millpond.cluster.embedded import KubectlError
from millpond.kube.objects import DECISION_ANNOTATION, DELETION_COST

from e2e.hanging import hanging_webhook
from e2e.product import Product, Raw, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
FAST = {"SLOTS": "16", "SERVICE_TIME_MS": "20"}
RETIRES = (
    '{"uid": "UID", "since": 1e300, "deadline": 1e300, "reason": "x"}',
    '{"uid": "UID", "since": NaN, "deadline": NaN, "reason": "x"}',
    f'{{"uid": "UID", "since": 0, "deadline": 1{"0" * 400}, "reason": "x"}}',
    "[" * 100_000,
)
DECISION = '{"at": "9999-12-31T23:59:59Z", "edition": "v1", "action": "Grow", "reason": "x", "servers": 1, "wanted": 1}'


@dataclass
class Health:
    """/healthz, asked ten times a second."""

    asked: int = 0
    red: list[str] = field(default_factory=list)


@contextlib.contextmanager
def watched_health(product: Product) -> Iterator[Health]:
    found, over = Health(), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            found.asked += 1
            try:
                answer = product.healthz()
                found.red += [answer.text] if answer.status_code != 200 else []
            except Exception as error:
                found.red.append(repr(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    over.set()
    thread.join(10)


@pytest.fixture
def hostile(product: Product) -> Iterator[str]:
    name = f"hostile-{time.monotonic_ns() % 10**9}"
    product.cluster.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", f"--namespace={name}")
    eventually(lambda: product.cluster.kubectl(*account), 30, "the namespace has a default service account")
    yield name
    product.cluster.kubectl("delete", "namespace", name, "--wait=false")


def scale(product: Product, namespace: str, replicas: int) -> float:
    """Seconds until so many servers serve."""
    began_s = time.monotonic()
    patch = json.dumps({"spec": {"replicas": replicas}})
    product.cluster.kubectl("patch", "elasticapp/web", "-n", namespace, "--type=merge", "-p", patch)
    product.wait_serving(namespace, replicas, 60)
    return time.monotonic() - began_s


def odd_apps(namespace: str) -> Iterator[str]:
    """Manifests as text: what Python reads and writes is not all that the API server takes."""
    specs: dict[str, Raw] = {
        "gates": {"readinessGates": ["x"]},
        "selector": {"nodeSelector": "disk=ssd"},
        "deep": {"deep": "HERE"},
        "deeper": {"deep": "HERE", "more": 1},
    }
    for name, more in specs.items():
        made = template()
        made["spec"] |= more
        levels = 9_000 if name == "deeper" else 1_000
        yield json.dumps(elastic_app(namespace, name, template=made)).replace(
            '"HERE"', '{"a":' * levels + "1" + "}" * levels
        )
    for number, until in enumerate(("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00")):
        yield json.dumps(elastic_app(namespace, f"paused-{number}", paused={"until": until, "reason": "x"}))


def apply_odd(product: Product, namespace: str) -> int:
    """How many the API server took."""
    taken = 0
    for text in odd_apps(namespace):
        with contextlib.suppress(KubectlError):  # that it refuses what nobody can read is as good
            product.cluster.kubectl("create", "--validate=false", "-f", "-", stdin=text)
            taken += 1
    return taken


def scribble(product: Product, namespace: str) -> None:
    """Annotations of the running app's pods and ReplicaSet that no reader of ours expects."""
    (pod,) = product.pods(namespace)
    for retire in RETIRES:
        notes = {
            RETIRE_ANNOTATION: retire.replace("UID", pod["metadata"]["uid"]),
            DECISION_ANNOTATION: DECISION,
            DELETION_COST: "2147483647",
        }
        patch = json.dumps({"metadata": {"annotations": notes}})
        product.cluster.kubectl(
            "patch", f"pod/{pod['metadata']['name']}", "-n", namespace, "--type=merge", "-p", patch
        )
    product.cluster.kubectl(
        "annotate", "replicasets", "--all", "-n", namespace, f"{DECISION_ANNOTATION}={DECISION}"
    )


def test_a_hostile_tenant_neither_ends_the_operator_nor_delays_the_other_tenant(
    product: Product, namespace: str, hostile: str
) -> None:
    mine = elastic_app(namespace, mode="Manual", replicas=1, template=template(**FAST))
    product.apply(mine, elastic_app(hostile))
    product.wait_serving(namespace)
    product.wait_serving(hostile)
    alone_s = scale(product, namespace, 2)
    scale(product, namespace, 1)
    operator = product.operator
    assert operator is not None
    with watched_health(product) as health:
        load = product.load(f"web.{namespace}.test", (45, 200))
        assert apply_odd(product, hostile) >= 4
        scribble(product, hostile)
        with hanging_webhook(product, hostile) as hanging:
            product.apply(*(elastic_app(hostile, f"new-{n}") for n in range(6)))
            eventually(lambda: hanging.asked >= 2, 30, "the webhook keeps the operator waiting")
            beside_s = scale(product, namespace, 2)
            before = hanging.asked
            eventually(lambda: hanging.asked > before, 40, "it still does")
            scale(product, namespace, 1)
        totals = load.totals()
    print(f"scale-out: {alone_s:.1f} s alone, {beside_s:.1f} s beside a hostile tenant; {totals}")
    assert beside_s <= max(2 * alone_s, alone_s + 2)
    assert totals["ok"] == totals["sent"], totals
    assert health.red == []
    assert health.asked > 100
    assert operator.alive
    assert product.operator is operator
    for name in ("gates", "selector", "deep", "deeper"):
        reason = product.condition(hostile, "Ready", name)[1]
        assert reason in ("InvalidTemplate", "InvalidSpec"), name
    assert product.condition(hostile, "Ready")[0] == "True", "its own app that runs goes on, too"
    eventually(lambda: product.condition(hostile, "Ready", "new-0")[0] == "True", 90, "it is served again")
