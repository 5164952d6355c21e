"""What a node is told when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """PEM files: the certificate that the node serves with, and the CA whose clients may read logs and metrics."""

    cert: Path
    key: Path
    client_ca: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One process node.

    ``addresses`` is this node's own block of loopback addresses: the first is the node's, the others are for pods.
    ``images`` maps an image name to the argv that its entrypoint would be.
    """

    name: str
    state_dir: Path
    addresses: IPv4Network
    cpu: str = "4"
    memory: str = "8Gi"
    pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    serving: Serving | None = None
    backoff_s: float = 10.0

    @property
    def address(self) -> str:
        return str(self.addresses.network_address + 1)
