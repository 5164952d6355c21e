"""An app behind another proxy, whose response time Prometheus tells: of the app, and of no edition alone."""

import pytest

from millpond.control.learn.knowledge import Observed
from millpond.control.learn.learner import Learner, Measured
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.world.model import Freshness

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.scenarios import Edit, settled

EVERY_S, WINDOW_S, RPS = 5.0, 20.0, 20
SOURCE = {"policy": "gold", "source": "prometheus", "prometheus": {"preset": "envoy"}}
LONG = {"soak": "100s"}  # longer than figures that are not told any more are believed


def observed(now_s: float) -> Measured:
    """As the slow path tells it: every few seconds, over the last twenty."""
    requests = int(RPS * WINDOW_S)
    seen = Observed(
        at_s=now_s - now_s % EVERY_S,
        window_s=WINDOW_S,
        requests=requests,
        errors=0,
        sum_ms=50.0 * requests,
        histogram=(requests, *[0] * len(BOUNDS_MS)),
        in_flight=1,
        complete=True,
    )
    return Measured(foreign={made.KEY: seen})


def edited(edition: str, **rollout: object) -> Edit:
    spec = {"edition": edition, "mode": "Automatic", "servers": {"min": 2, "max": 4}, "sla": SOURCE}
    settings = {"drain": {"timeout": "2s"}, "rollout": {**LONG, **rollout}}
    return Edit({**spec, **settings}, {edition: 2})


def started(cluster: Cluster) -> Learner:
    """What an operator learns that Prometheus tells of the app."""
    made.furnished(cluster.server)
    cluster.start_operator()
    assert cluster.operator is not None
    learner = cluster.operator.cycle.learner
    learner.measured = lambda: observed(cluster.clock())
    return learner


@pytest.mark.parametrize("strategy", ["Rolling", "Atomic", "BlueGreen"])
def test_a_rollout_that_lasts_longer_than_figures_are_believed_comes_to_its_end(strategy: str) -> None:
    cluster = Cluster()

    async def play() -> None:
        learner = started(cluster)
        for edit in (edited("v1"), edited("v2", strategy=strategy)):
            edit.apply(cluster)
            await settled(cluster, edit, most=2000)
        known = learner.knowledge.of(made.KEY, "v2")
        assert known.freshness(cluster.clock()) is Freshness.FRESH
        assert known.memory.rate_rps(cluster.clock(), 60.0) == pytest.approx(RPS, rel=0.1)

    run(cluster.clock, play())
    assert made.stored(cluster.server)["status"]["rollout"]["phase"] == "Completed"


def test_while_both_editions_serve_the_load_is_counted_once_and_of_all_servers() -> None:
    cluster = Cluster()

    async def play() -> None:
        learner = started(cluster)
        first = edited("v1")
        first.apply(cluster)
        await settled(cluster, first)
        edited("v2", strategy="BlueGreen").apply(cluster)

        def soaking() -> bool:
            return (made.stored(cluster.server)["status"].get("rollout") or {}).get("weight") == 100

        await cluster.until(soaking, 400, lambda: "the new edition serves")
        for _ in range(120):
            await cluster.tick()
        old, new = (learner.knowledge.of(made.KEY, name) for name in ("v1", "v2"))
        assert new.memory.recent == ()
        assert old.memory.recent[-1].serving == 4
        assert {old.freshness(cluster.clock()), new.freshness(cluster.clock())} == {Freshness.FRESH}

    run(cluster.clock, play())
