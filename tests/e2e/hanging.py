"""An admission webhook that takes connections and never answers, for one namespace."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from e2e.product import Product


class Hanging:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._taken: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                self._taken.append(self._listener.accept()[0])

    @property
    def asked(self) -> int:
        """How often it was asked so far."""
        return len(self._taken)

    def close(self) -> None:
        self._listener.close()
        for connection in self._taken:
            connection.close()


@contextlib.contextmanager
def hanging_webhook(product: Product, namespace: str) -> Iterator[Hanging]:
    """Whatever is written in the namespace, but for ElasticApps, waits 10 s and is refused."""
    hanging = Hanging()
    name = f"hangs-{namespace}"
    product.apply(_configuration(name, namespace, hanging.port))
    try:
        yield hanging
    finally:
        product.cluster.kubectl("delete", "validatingwebhookconfiguration", name)
        hanging.close()


def _configuration(name: str, namespace: str, port: int) -> dict[str, Any]:
    def rule(groups: list[str], resources: list[str]) -> dict[str, Any]:
        return {
            "apiGroups": groups,
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": resources,
        }

    webhook = {
        "name": "hangs.example.test",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/"},
        "rules": [
            rule(["", "apps", "events.k8s.io"], ["*/*"]),
            rule(["millpond.dev"], ["editions", "editions/status", "elasticapps/status"]),
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "failurePolicy": "Fail",
        "timeoutSeconds": 10,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }
