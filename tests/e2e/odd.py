"""What a hostile tenant applies: manifests as text, since what Python writes is not all that the API server takes."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from millpond.api.names import RETIRE_ANNOTATION
from millpond.control.observe.objects import DECISION_ANNOTATION, DELETION_COST
from millpond.local.cluster.embedded import KubectlError

from e2e.product import Product, Raw, elastic_app, template

_RETIRES = (
    '{"uid": "UID", "since": 1e300, "deadline": 1e300, "reason": "x"}',
    '{"uid": "UID", "since": NaN, "deadline": NaN, "reason": "x"}',
    f'{{"uid": "UID", "since": 0, "deadline": 1{"0" * 400}, "reason": "x"}}',
    "[" * 100_000,
)
_DECISION = '{"at": "9999-12-31T23:59:59Z", "edition": "v1", "action": "Grow", "reason": "x", "servers": 1}'
_INSTANT = """
import os, socketserver
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline() not in (b"", b"\\r\\n", b"\\n"):
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\nok")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((os.environ["POD_IP"], 8080), Answer).serve_forever()
"""


def instant(namespace: str) -> Raw:
    """An app whose answers take less than the millisecond that routers count in."""
    made = template()
    made["spec"]["containers"][0]["command"] = ["python", "-c", _INSTANT]
    return elastic_app(namespace, "instant", template=made)


def apply_odd(product: Product, namespace: str, host: str) -> int:
    """How many the API server took. `host`: another tenant's."""
    taken = 0
    for text in (*_odd_templates(namespace), *map(json.dumps, _odd_specs(namespace, host))):
        with contextlib.suppress(KubectlError):  # that it refuses what nobody can read is as good
            product.cluster.kubectl("create", "--validate=false", "-f", "-", stdin=text)
            taken += 1
    return taken


def _odd_templates(namespace: str) -> Iterator[str]:
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


def _odd_specs(namespace: str, host: str) -> Iterator[Raw]:
    moments = ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2016-12-31T23:59:60Z")
    zone = {"start": "00:00", "end": "00:01", "timeZone": "../../etc/passwd"}
    preview = {"strategy": "BlueGreen", "preview": {"host": host}}
    hosts = (host, host.upper(), f"{host}.", "*", f"*.{host.partition('.')[2]}")
    specs: list[dict[str, Any]] = [
        *({"paused": {"until": moment, "reason": "x"}} for moment in moments),
        {"changeWindows": [zone]},
        {"affinity": {"cookie": "millpond-edition"}},
        {"rollout": preview},
        *({"routes": [{"host": name}]} for name in hosts),
    ]
    for number, spec in enumerate(specs):
        yield elastic_app(namespace, f"odd-{number}", **spec)


def take_host(product: Product, namespace: str, host: str) -> None:
    """By an edit of the app that runs, which is older than the other tenant's."""
    routes = json.dumps({"spec": {"routes": [{"host": f"web.{namespace}.test"}, {"host": host}]}})
    product.cluster.kubectl("patch", "elasticapp/web", "-n", namespace, "--type=merge", "-p", routes)


def scribble(product: Product, namespace: str) -> None:
    """Annotations of the running apps' pods and ReplicaSets that no reader of ours expects."""
    for pod in product.pods(namespace):
        for retire in _RETIRES:
            notes = {
                RETIRE_ANNOTATION: retire.replace("UID", pod["metadata"]["uid"]),
                DECISION_ANNOTATION: _DECISION,
                DELETION_COST: "2147483647",
            }
            patch = json.dumps({"metadata": {"annotations": notes}})
            product.cluster.kubectl(
                "patch", f"pod/{pod['metadata']['name']}", "-n", namespace, "--type=merge", "-p", patch
            )
    product.cluster.kubectl(
        "annotate", "replicasets", "--all", "-n", namespace, f"{DECISION_ANNOTATION}={_DECISION}"
    )
