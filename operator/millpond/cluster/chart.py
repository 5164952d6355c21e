"""The chart's plain part on a cluster: custom resources, admission, RBAC, and the operator's identity."""

import time
from pathlib import Path
from typing import Protocol

from millpond import paths
from millpond.cluster.errors import KubectlError

NAMESPACE = "millpond-system"
SERVICE_ACCOUNT = "millpond-operator"
_TOKEN_VALID = "87600h"
_TEMPLATES = ("rbac.yaml", "admission.yaml")
_ADMITTED_S, _PROBED_EVERY_S = 60.0, 0.5
_NOT_YET = "There can be a delay"
_PROBE = """
{"apiVersion": "millpond.dev/v1alpha1", "kind": "ElasticApp", "metadata": {"name": "probe", "namespace": "default"},
 "spec": {"pool": ""}}
"""


class Kubectl(Protocol):
    def __call__(self, *args: str, stdin: str | None = None) -> str: ...


def install(kubectl: Kubectl) -> None:
    """Apply what is in the chart (again), and wait until the API server serves the custom resources."""
    chart = paths.chart()
    definitions = sorted((chart / "crds").glob("*.yaml"))
    templates = [path for name in _TEMPLATES if (path := chart / "templates" / name).exists()]
    if definitions:
        _apply(kubectl, definitions)
        files = [f"--filename={path}" for path in definitions]
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
    if templates:
        _apply(kubectl, templates)
        _wait_admitted(kubectl)


def _wait_admitted(kubectl: Kubectl) -> None:
    """The API server's policies learn of new kinds some seconds after those are established.

    Until then it refuses every ElasticApp as unavailable. The probe is refused as invalid as soon as it is looked at.
    """
    deadline = time.monotonic() + _ADMITTED_S
    while True:
        try:
            kubectl("create", "--dry-run=server", "--filename=-", stdin=_PROBE)
        except KubectlError as error:
            if _NOT_YET not in str(error):
                return
            if time.monotonic() > deadline:
                raise
        time.sleep(_PROBED_EVERY_S)


def operator_token(kubectl: Kubectl) -> str:
    return kubectl(
        "create", "token", SERVICE_ACCOUNT, f"--namespace={NAMESPACE}", f"--duration={_TOKEN_VALID}"
    ).strip()


def _apply(kubectl: Kubectl, files: list[Path]) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", *(f"--filename={path}" for path in files))
