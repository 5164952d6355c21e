"""The world as a value: what one cycle observed. Unknown is None, never zero."""

from dataclasses import dataclass, field
from enum import StrEnum

from millpond_policies.goals import Goal as Goal
from millpond_policies.goals import GoalKind as GoalKind
from millpond_policies.learn.learning import Memory
from millpond_policies.world.constraints import Constraints, Resources
from millpond_policies.world.nodes import Node, Pool
from millpond_policies.world.release import Evidence, Progress, Way


class Mode(StrEnum):
    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class Freshness(StrEnum):
    """How far the response-time metrics can be trusted. Only FRESH may shrink anything."""

    FRESH = "Fresh"
    STALE = "Stale"  # had some, but the newest is too old
    PARTIAL = "Partial"  # a router that may serve this app did not report
    MISSING = "Missing"  # never had any


class ServerState(StrEnum):
    PENDING = "Pending"  # no node yet, or its process has not started
    STARTING = "Starting"  # running, not ready yet
    SERVING = "Serving"  # ready, and every router knows it
    UNHEALTHY = "Unhealthy"  # was ready, is not any more
    DRAINING = "Draining"  # named as a victim; finishes what it has
    TERMINATING = "Terminating"  # being deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    uid: str
    name: str
    edition: str
    state: ServerState
    created_s: float  # epoch seconds
    node: str | None = None
    serving_since_s: float | None = None
    in_flight: int | None = None  # requests active and pending, all routers; None: unknown
    reachable: bool = False  # routers may send it requests, even while it does not count as serving


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionView:
    """One edition of an app and the replicas ordered for it."""

    name: str
    ordered: int  # spec.replicas of its ReplicaSet
    memory: Memory = field(default_factory=Memory)
    freshness: Freshness = Freshness.MISSING
    evidence: Evidence = field(default_factory=Evidence)  # since the present step of a rollout began
    stuck: str | None = None  # why its servers do not start, in a sentence
    refused: bool = (
        False  # what is ordered and not there does not come: a quota, or another rule, refuses more
    )
    requests: Resources | None = None  # of one server; None: unknown
    constraints: Constraints = field(default_factory=Constraints)  # where its servers may run


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    key: str  # namespace/name
    edition: str  # the one that spec names
    active: str  # the one that serves: it is sized while no rollout is under way
    goal: Goal
    min_servers: int
    max_servers: int
    allowance: int | None = None  # servers that the pool leaves it; None: as many as `max_servers`
    pool: str = ""  # its name
    importance: int = 4  # 1 highest .. 7 lowest
    mode: Mode = Mode.AUTOMATIC
    manual_servers: int = 1
    paused_until_s: float | None = None  # None: not paused
    static: bool = False  # its pool is allocated by hand
    way: Way = field(default_factory=Way)  # how a new edition takes over
    progress: Progress | None = None  # of the last rollout
    watched_since_s: float = 0.0  # since when this operator has looked at it
    editions: tuple[EditionView, ...] = ()
    servers: tuple[Server, ...] = ()

    @property
    def ceiling(self) -> int:
        """The most servers that it may have; the floor is the stronger one."""
        allowed = self.max_servers if self.allowance is None else min(self.max_servers, self.allowance)
        return max(self.min_servers, allowed)

    def paused(self, now_s: float) -> bool:
        return holds(self.paused_until_s, now_s)

    @property
    def named_anew(self) -> bool:
        """Whether spec names an edition that neither serves nor was given up."""
        last = self.progress
        given_up = last is not None and last.edition == self.edition and last.phase.final
        return self.edition != self.active and not given_up

    @property
    def rolls_out(self) -> bool:
        """Whether a rollout decides about the number of servers, instead of the size of the serving edition."""
        return (self.progress is not None and not self.progress.phase.final) or self.named_anew

    def view(self, edition: str) -> EditionView | None:
        return next((e for e in self.editions if e.name == edition), None)

    def servers_of(self, edition: str, *states: ServerState) -> tuple[Server, ...]:
        """Servers of an edition, in any of ``states`` (all states when none is given)."""
        return tuple(s for s in self.servers if s.edition == edition and (not states or s.state in states))


def holds(paused_until_s: float | None, now_s: float) -> bool:
    """Whether a pause holds: no server is started or ended. None: there is none."""
    return paused_until_s is not None and now_s < paused_until_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    apps: tuple[App, ...] = ()
    pools: tuple[Pool, ...] = ()
    nodes: tuple[Node, ...] = ()
    ended: frozenset[str] = frozenset()
    """Apps whose rollout an earlier stage of this plan ended: they are sized in the next one."""
    resting: frozenset[str] = frozenset()
    """Apps of which nothing is new: what an earlier plan said of them stands. They use room all the same."""

    @property
    def judged(self) -> tuple[App, ...]:
        """Those of which this plan says what each of them needs."""
        return tuple(app for app in self.apps if app.key not in self.resting)
