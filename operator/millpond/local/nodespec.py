"""What a process node offers, and the certificates and command line of its agent."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from millpond.local.pki import Authority, Pair


@dataclass(frozen=True, slots=True)
class NodeSpec:
    name: str
    cpu: str = "4"
    """As Kubernetes writes it: "4", "500m"."""
    memory: str = "8Gi"
    pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What an image would start: image name -> argv."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    kubeconfig: Path
    folder: Path
    serving: Pair
    client_ca: Path


def client_certificate(authority: Authority, name: str) -> Pair:
    """The identity that the Node authorizer and NodeRestriction know: only its own node and pods."""
    return authority.issue(f"node-{name}", f"system:node:{name}", organisation="system:nodes")


def serving_certificate(authority: Authority, name: str, block: str) -> Pair:
    addresses = [f"{block}.1"]
    return authority.issue(f"node-{name}-serving", f"system:node:{name}", addresses=addresses, names=[name])


def agent_argv(spec: NodeSpec, block: str, files: NodeFiles) -> list[str]:
    argv = [sys.executable, "-m", "millpond", "node", "--name", spec.name]
    argv += ["--kubeconfig", str(files.kubeconfig), "--state-dir", str(files.folder)]
    argv += ["--addresses", f"{block}.0/24"]
    argv += ["--cpu", spec.cpu, "--memory", spec.memory, "--pods", str(spec.pods)]
    argv += ["--serving-cert", str(files.serving.certificate), "--serving-key", str(files.serving.key)]
    argv += ["--client-ca", str(files.client_ca)]
    for key, value in spec.labels.items():
        argv += ["--label", f"{key}={value}"]
    for image, entrypoint in spec.images.items():
        argv += ["--image", f"{image}={json.dumps(list(entrypoint))}"]
    return argv
