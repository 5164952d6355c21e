"""What a run of the demo left to judge and draw. All times are seconds since the load began."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from millpond.demo.requests.accounts import Processed
from millpond.demo.requests.answers import Answer
from millpond.demo.requests.tally import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What status.rollout said from `t_s` on."""

    t_s: float
    edition: str
    origin: str
    """The edition that serves, and goes on if the other one is taken back."""
    strategy: str
    phase: str
    step: int
    steps: int
    weight: int
    """Percent of the new sessions that go to `edition`."""
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An edition that spec named at `t_s`, and its first server. None: that did not happen."""

    t_s: float
    edition: str
    created_s: float | None = None
    up_s: float | None = None
    """When its containers were ready."""

    @property
    def start_s(self) -> float | None:
        """How long the server took by itself."""
        return None if self.created_s is None or self.up_s is None else self.up_s - self.created_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """How many servers of each edition serve from `t_s` on; those that are named as victims do not count."""

    t_s: float
    servers: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.servers.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionSecond:
    """One edition in one second: its servers at the end, and the answers that it gave."""

    ready: int = 0
    starting: int = 0
    draining: int = 0
    answers: int = 0
    response_ms: float | None = None


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
    editions: Mapping[str, EditionSecond] = field(default_factory=dict)
    rollout: Moment | None = None
    commands: tuple[str, ...] = ()
    """The latest ones of the script."""

    def share(self, edition: str) -> float:
        """Of the answers in this second."""
        total = sum(e.answers for e in self.editions.values())
        return self.editions[edition].answers / total if total and edition in self.editions else 0.0


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
    moments: tuple[Moment, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    ready: tuple[Ready, ...] = ()
    """Whenever it changed; the first is what stood when the load began."""
    answers: tuple[Answer, ...] = ()
    """To each request of a script's traffic."""
    processed: Processed = field(default_factory=dict)
    """What the servers wrote down about them."""

    def rises(self) -> tuple[tuple[Order, Order], ...]:
        """(before, after) of every order for more servers."""
        pairs = zip(self.orders, self.orders[1:], strict=False)
        return tuple((before, after) for before, after in pairs if after.servers > before.servers)

    def rollout_of(self, edition: str) -> tuple[Moment, ...]:
        """The moments of the last rollout that brought this edition, in order of time."""
        found: list[Moment] = []
        before: Moment | None = None
        for moment in self.moments:
            if moment.edition == edition:
                anew = before is None or before.edition != edition
                found = [moment] if anew else [*found, moment]
            before = moment
        return tuple(found)
