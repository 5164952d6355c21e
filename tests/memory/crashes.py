"""The operator dies right before or after one of its writes, and another one takes over, with whatever caches."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from memory.clock import run
from memory.cluster import Cluster
from memory.patches import Raw
from memory.scenarios import Scenario, deeds, end_state

LATE_S = 1.5  # three cycles
VERY_LATE_S = 4.0  # longer than an idle server takes from its intent to its removal
SETTLE_S = 1.0  # instead of five: routers are back sooner here


@dataclass(frozen=True)
class Succession:
    """How soon the next operator, the ReplicaSet controller and a router know what happens."""

    name: str
    before: bool = False
    """The write is not done."""
    behind_s: Mapping[str, float] | float = 0.0
    pods_s: float = 0.0  # the controller's caches
    sets_s: float = 0.0
    router_s: float = 0.0  # until one of the routers acknowledges


SUCCESSIONS = (
    Succession("before the write", before=True),
    Succession("after the write"),
    Succession("its caches late", behind_s=LATE_S),
    Succession("its pods late", behind_s={"pods": LATE_S}),
    Succession("its sets late", behind_s={"replicasets": LATE_S}),
    Succession("its apps late", behind_s={"elasticapps": LATE_S, "editions": LATE_S}),
    Succession("the controller's pods late", pods_s=VERY_LATE_S),
    Succession("the controller's sets late", sets_s=VERY_LATE_S),
    Succession("a router late", router_s=VERY_LATE_S),
)


@dataclass(frozen=True)
class Moment:
    """A write: what it was, in which edit, and the cluster as it was before and after it."""

    write: str
    edit: int
    before: Cluster
    after: Cluster


@dataclass(frozen=True)
class Undisturbed:
    moments: tuple[Moment, ...]
    state: Raw
    deeds: Counter[tuple[str, str, str]]


@lru_cache
def undisturbed(number: int) -> Undisturbed:
    from memory.scenarios import SCENARIOS

    return recorded(SCENARIOS[number])


def recorded(scenario: Scenario) -> Undisturbed:
    cluster, moments, at, before = Cluster(), [], [0], {}

    def about(verb: str, key: str, body: Any) -> None:
        before[key] = cluster.fork()

    def done(verb: str, key: str, body: Any) -> None:
        write = f"{len(moments)} {verb} {key} {sorted(body.get('status') or body.get('spec') or body)}"
        moments.append(Moment(write, at[0], before.pop(key), cluster.fork()))

    async def play() -> None:
        await scenario.prepared(cluster)
        assert cluster.operator is not None
        cluster.operator.client.before, cluster.operator.client.after = about, done
        for at[0], _ in enumerate(scenario.edits):
            await scenario.played(cluster, at[0], until=at[0] + 1)

    run(cluster.clock, play())
    assert not cluster.promises.broken
    return Undisturbed(tuple(moments), end_state(cluster.server), deeds(cluster.server))


def survived(scenario: Scenario, found: Undisturbed, moment: Moment, succession: Succession) -> list[str]:
    """What is wrong with the outcome; nothing, as a rule."""
    cluster = (moment.before if succession.before else moment.after).fork()
    cluster.sets.pods.behind_s, cluster.sets.sets.behind_s = succession.pods_s, succession.sets_s
    cluster.routers[1].lag_s = succession.router_s

    async def live_on() -> None:
        cluster.start_operator(behind_s=succession.behind_s, settle_s=SETTLE_S)
        await scenario.played(cluster, moment.edit, begun=True)

    try:
        run(cluster.clock, live_on())
    except AssertionError as error:
        return [str(error), *cluster.promises.broken]
    state, done = end_state(cluster.server), deeds(cluster.server)
    wrong = [f"{k}: {state[k]}, not {found.state[k]}" for k in state if state[k] != found.state[k]]
    if done != found.deeds:
        wrong.append(f"more: {done - found.deeds}, less: {found.deeds - done}")
    return [*wrong, *cluster.promises.broken]
