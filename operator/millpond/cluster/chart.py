"""The chart's plain part on a cluster: custom resources, admission, RBAC, and the operator's identity."""

import time
from pathlib import Path
from typing import Protocol

from millpond import paths
from millpond.cluster.errors import KubectlError

NAMESPACE = "millpond-system"
SERVICE_ACCOUNT = "millpond-operator"
IDENTITY = Path(__file__).with_name("manifests") / "identity.yaml"
"""What `helm install` gives the operator by default: its account and rights, in its usual namespace."""
_TOKEN_VALID = "87600h"
_PLAIN = ("roles.yaml", "admission.yaml")
"""Templates of the chart that are the same for everybody; the operator's own rights are rendered in `manifests/`."""
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
    _apply(kubectl, definitions)
    files = [f"--filename={path}" for path in definitions]
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
    _apply(kubectl, [IDENTITY, *(chart / "templates" / name for name in _PLAIN)])
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
