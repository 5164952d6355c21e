"""The chart's plain part on a cluster: custom resources, admission, RBAC, and the operator's identity."""

import time
from pathlib import Path
from typing import Protocol

from millpond import paths
from millpond.local.errors import KubectlError

NAMESPACE = "millpond-system"
SERVICE_ACCOUNT = "millpond-operator"
IDENTITY = Path(__file__).with_name("manifests") / "identity.yaml"
"""What `helm install` gives the operator by default: its account and rights, in its usual namespace."""
_TOKEN_VALID = "87600h"
_PLAIN = ("roles.yaml", "admission.yaml")
"""Templates of the chart that are the same for everybody; the operator's own rights are rendered in `manifests/`."""
_ADMITTED_S, _PROBED_EVERY_S = 60.0, 0.5
_IN_EFFECT = "millpond.dev/submitter"
"""An annotation that the API server adds by itself, once the policies are in effect."""
_PROBE = """
{"apiVersion": "millpond.dev/v1alpha1", "kind": "ElasticApp",
 "metadata": {"generateName": "probe-", "namespace": "default"},
 "spec": {"pool": "probe", "sla": {"policy": "probe"}, "servers": {"max": 1}, "edition": "v1", "port": 8080,
          "routes": [{"host": "probe.invalid"}],
          "template": {"spec": {"containers": [{"name": "app", "image": "probe"}]}}}}
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
    """Policies come into effect some seconds after they were made, and know of new kinds some seconds later still.

    At first the API server does not heed them, then it refuses every ElasticApp as of a kind not found. It is ready
    when they have left their mark on one, in a dry run. Raises KubectlError.
    """
    deadline, create = time.monotonic() + _ADMITTED_S, ("create", "--dry-run=server", "--output=json")
    said = "the API server does not heed the admission policies yet"
    while time.monotonic() < deadline:
        try:
            if _IN_EFFECT in kubectl(*create, "--filename=-", stdin=_PROBE):
                return
        except KubectlError as error:
            said = str(error)
        time.sleep(_PROBED_EVERY_S)
    raise KubectlError(f"no ElasticApp can be made, {_ADMITTED_S:.0f} s after the chart was applied: {said}")


def operator_token(kubectl: Kubectl) -> str:
    return kubectl(
        "create", "token", SERVICE_ACCOUNT, f"--namespace={NAMESPACE}", f"--duration={_TOKEN_VALID}"
    ).strip()


def _apply(kubectl: Kubectl, files: list[Path]) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", *(f"--filename={path}" for path in files))
