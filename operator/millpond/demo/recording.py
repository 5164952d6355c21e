"""What a run of the demo left to judge and draw. All times are seconds since the load began."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from millpond.demo.tally import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """Second `t_s`: the load in it, and the servers at its end."""

    t_s: int
    rate_rps: float
    response_ms: float | None
    """Mean of the answers that came in this second; None when none came."""
    p95_ms: float | None = None
    ok: int = 0
    failed: int = 0
    open: int = 0
    """Sent and not answered at the end of the second."""
    servers_ready: int
    servers_starting: int = 0
    servers_draining: int = 0
    servers_desired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The number of servers that is written down in the API server from `t_s` on."""

    t_s: float
    servers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One entry of ElasticApp.status.decisions; its time has a resolution of one second."""

    t_s: float
    action: str
    reason: str
    servers: int
    wanted: int
    needed: int | None = None
    message: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    scenario: str
    seconds: tuple[Second, ...]
    orders: tuple[Order, ...]
    """In order of time; the first is what stood when the load began."""
    decisions: tuple[Decision, ...]
    """In order of time."""
    requests: Totals
    routed: int | None = None
    """Requests that the routers counted; None: they could not be asked."""

    def rises(self) -> tuple[tuple[Order, Order], ...]:
        """(before, after) of every order for more servers."""
        pairs = zip(self.orders, self.orders[1:], strict=False)
        return tuple((before, after) for before, after in pairs if after.servers > before.servers)
