"""The chart's plain part on a cluster: custom resources, admission, RBAC, and the operator's identity."""

from pathlib import Path
from typing import Protocol

from millpond import paths

NAMESPACE = "millpond-system"
SERVICE_ACCOUNT = "millpond-operator"
_TOKEN_VALID = "87600h"
_TEMPLATES = ("rbac.yaml", "admission.yaml")


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


def operator_token(kubectl: Kubectl) -> str:
    return kubectl(
        "create", "token", SERVICE_ACCOUNT, f"--namespace={NAMESPACE}", f"--duration={_TOKEN_VALID}"
    ).strip()


def _apply(kubectl: Kubectl, files: list[Path]) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", *(f"--filename={path}" for path in files))
