"""What the operator is started with."""

from dataclasses import dataclass, field
from pathlib import Path

from millpond.router.trust.authority import Lives


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``kubeconfig`` None: in-cluster. ``xds`` is where routers connect: unix:/path or host:port.

    On TCP they need certificates, unless ``xds_insecure``. ``xds_names``: what they call the operator, besides the
    usual names; ``lives``: how long certificates are valid. ``watch_namespaces``: whose apps it sees to; none: all.
    ``pod``: the name of the operator's own pod, if it is one.
    ``lost_after_s``: how long a silent router that is no pod counts as serving.
    ``default_hosts``: patterns of the hosts that apps of a namespace without a grant may claim.
    """

    kubeconfig: Path | None
    xds: str
    xds_insecure: bool = False
    xds_names: tuple[str, ...] = ()
    lives: Lives = field(default_factory=Lives)
    connection_age_s: float = 3600.0
    certificates_every_s: float = 60.0
    health_host: str
    health_port: int
    prometheus_url: str | None = None
    namespace: str = "millpond-system"
    pod: str | None = None
    watch_namespaces: tuple[str, ...] = ()
    default_hosts: tuple[str, ...] = ("*",)
    cycle_stuck_s: float = 30.0
    watch_stuck_s: float = 120.0
    lost_after_s: float = 60.0
