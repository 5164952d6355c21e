"""`millpond detach` on the kind cluster, and what Kubernetes makes of the Services that it prints."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millpond.demo.kind.release import Release

Raw = dict[str, Any]


@dataclass
class Detached:
    release: Release
    folder: Path

    @property
    def services(self) -> Path:
        """As printed."""
        return self.folder / "services.yaml"

    def make(self) -> None:
        kubeconfig = ("--kubeconfig", str(self.release.cluster.kubeconfig))
        argv = [sys.executable, "-m", "millpond", "detach", "--all-namespaces", "--yes", *kubeconfig]
        done = subprocess.run(
            [*argv, "--save", str(self.folder / "kept")], capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.services.write_text(done.stdout)

    def reachable(self) -> set[str]:
        """Names of the pods that are ready endpoints of Services in the namespace of the shop."""
        listed = self.release.cluster.kubectl("get", "endpointslices", "-n", "shop", "-o", "json")
        ends = [end for each in json.loads(listed)["items"] for end in each.get("endpoints") or ()]
        return {end["targetRef"]["name"] for end in ends if end["conditions"].get("ready")}
