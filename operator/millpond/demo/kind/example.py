"""The manifests of a scenario on a cluster that may have some of them already; those stay as they are."""

import json
from collections.abc import Sequence
from pathlib import Path

from millpond.demo.scenario import Scenario
from millpond.demo.stage.stack import Admin, Say, StackError
from millpond.local.errors import KubectlError

_DELETED = "--timeout=90s"


class Example:
    def __init__(self, admin: Admin, scenario: Scenario, say: Say) -> None:
        self._admin, self._scenario, self._say = admin, scenario, say
        self._applied: list[Path] = []

    def check(self) -> None:
        """Raises StackError when its namespace is there: it is somebody else's."""
        namespace = self._scenario.namespace
        if self._admin.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name").strip():
            raise StackError(
                f"namespace {namespace} is there already, perhaps with somebody's app: "
                f"delete it (`kubectl delete namespace {namespace}`), or choose another cluster"
            )

    def make_namespace(self) -> None:
        for path in _files(self._scenario.manifests):
            if path.name == "namespace.yaml":
                self._apply(path)

    def apply(self) -> None:
        for path in _files(self._scenario.manifests):
            if path not in self._applied:
                self._apply(path)

    def _apply(self, path: Path) -> None:
        there = self._admin.kubectl("get", "-f", str(path), "--ignore-not-found", "-o", "name").split()
        if there:
            self._say(f"{', '.join(there)}: there already, left as it is")
            return
        self._say(f"kubectl apply -f {path.parent.name}/{path.name}")
        self._applied.append(path)
        self._admin.kubectl("apply", "-f", str(path))

    def remove(self) -> None:
        """What was applied, the app first: the operator ends it. Raises KubectlError."""
        app = ("elasticapp", self._scenario.app, "-n", self._scenario.namespace, "--ignore-not-found")
        try:
            self._admin.kubectl("delete", *app, _DELETED)
        except KubectlError as error:
            self._say(f"the operator did not end the app, so its finalizers are taken off: {error}")
            none = json.dumps({"metadata": {"finalizers": None}})
            self._admin.kubectl("patch", *app[:4], "--type=merge", "-p", none)
        for path in reversed(self._applied):
            self._admin.kubectl("delete", "-f", str(path), "--ignore-not-found", _DELETED)


def _files(manifests: Sequence[Path]) -> list[Path]:
    """As kubectl takes them: the files of folders in the order of their names."""
    return [file for path in manifests for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
