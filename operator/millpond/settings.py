"""What the operator is started with."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``kubeconfig`` None: in-cluster. ``xds`` is where routers connect: unix:/path or host:port."""

    kubeconfig: Path | None
    xds: str
    health_host: str
    health_port: int
    prometheus_url: str | None = None
    namespace: str = "millpond-system"
    cycle_stuck_s: float = 30.0
    watch_stuck_s: float = 120.0
