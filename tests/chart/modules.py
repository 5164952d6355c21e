"""Custom resources of other projects, from their Go modules: nothing of theirs is kept here."""

import json
import tempfile
from functools import cache
from pathlib import Path

from chart import gotool

_PROMETHEUS = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_CERTIFICATES = "github.com/cert-manager/cert-manager@v1.21.2"
_GATEWAY = "sigs.k8s.io/gateway-api@v1.6.3"
_MONITORS = [
    f"monitoring.coreos.com_{kind}" for kind in ("servicemonitors", "podmonitors", "prometheusrules")
]
_ROUTES = [f"gateway.networking.k8s.io_{kind}" for kind in ("gateways", "httproutes", "referencegrants")]
_WANTED = {
    _PROMETHEUS: ("example/prometheus-operator-crd", _MONITORS),
    _CERTIFICATES: ("deploy/crds", ["cert-manager.io_certificates"]),
    _GATEWAY: ("config/crd/standard", _ROUTES),
}


@cache
def definitions() -> tuple[Path, ...]:
    """The CustomResourceDefinitions, fetched where they are not in Go's cache. Raises gotool.NoGo."""
    return tuple(
        _folder(module) / folder / f"{name}.yaml"
        for module, (folder, names) in _WANTED.items()
        for name in names
    )


def _folder(module: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="millpond-modules-") as empty:
        (Path(empty) / "go.mod").write_text("module millpond.dev/definitions\n\ngo 1.26.0\n")
        return Path(json.loads(gotool.run(["mod", "download", "-json", module], Path(empty)))["Dir"])
