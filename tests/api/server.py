"""A client that offers manifests to the real API server, as its administrator or as somebody else."""

import ssl
from pathlib import Path
from typing import Any

import httpx
import kubernetes

from millpond.api.names import API_VERSION, EDITION, ELASTICAPP, PLURALS

Manifest = dict[str, Any]
_NAMESPACED = (ELASTICAPP, EDITION)


class Refused(Exception):
    """The API server's message."""


class Server:
    """Writes and reads our kinds; those that are in a namespace, in ``namespace``."""

    def __init__(self, http: httpx.Client, namespace: str, user: str | None = None) -> None:
        self._http = http
        self._user = user  # None: the administrator
        self.namespace = namespace

    def acting_as(self, user: str) -> "Server":
        """The same, as somebody else, who has only his own rights."""
        return Server(self._http, self.namespace, user)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """The object as stored; strict, so unknown fields are refused, too."""
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self._ask("POST", self._path(manifest["kind"]), params=query, json=manifest)

    def patch(self, manifest: Manifest, change: Manifest, *, part: str = "") -> Manifest:
        """A merge patch of the object, or of its ``part`` (status, scale)."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._ask("PATCH", self._path_of(manifest, part), headers=headers, json=change)

    def get(self, manifest: Manifest, *, part: str = "") -> Manifest:
        return self._ask("GET", self._path_of(manifest, part))

    def delete(self, manifest: Manifest) -> None:
        self._ask("DELETE", self._path_of(manifest, ""))

    def _path(self, kind: str) -> str:
        namespace = f"/namespaces/{self.namespace}" if kind in _NAMESPACED else ""
        return f"/apis/{API_VERSION}{namespace}/{PLURALS[kind]}"

    def _path_of(self, manifest: Manifest, part: str) -> str:
        return f"{self._path(manifest['kind'])}/{manifest['metadata']['name']}/{part}".rstrip("/")

    def _ask(self, verb: str, path: str, **rest: Any) -> Manifest:
        headers = rest.pop("headers", {}) | ({"Impersonate-User": self._user} if self._user else {})
        answer = self._http.request(verb, path, headers=headers, **rest)
        body: Manifest = answer.json()
        if answer.is_error:
            raise Refused(body["message"])
        return body


def connect(kubeconfig: Path) -> httpx.Client:
    """With a client certificate and the cluster's CA."""
    found = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
    context = ssl.create_default_context(cafile=found.ssl_ca_cert)
    context.load_cert_chain(found.cert_file, found.key_file)
    return httpx.Client(base_url=found.host, verify=context, timeout=30)
