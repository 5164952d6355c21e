"""What hangs for one app (an admission webhook, a router that never acknowledges) delays no other one's order."""

from collections.abc import Callable

import pytest

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.routers import NEVER_S, Traffic
from memory.scenarios import silence

QUIET, NOISY = "quiet", "noisy"
Trouble = Callable[[Cluster], None]


def nothing(cluster: Cluster) -> None:
    pass


def webhook_hangs(cluster: Cluster) -> None:
    """No write in the other namespace is answered."""
    cluster.server.hangs = lambda path: f"/{NOISY}/" in path


def router_never_acknowledges(cluster: Cluster) -> None:
    cluster.routers[1].lag_s = NEVER_S


def both(cluster: Cluster) -> None:
    webhook_hangs(cluster)
    router_never_acknowledges(cluster)


async def _ordered(cluster: Cluster, trouble: Trouble) -> tuple[int, float]:
    """Cycles, and seconds, from both apps' edits until the order of the quiet one is written."""
    made.furnished(cluster.server, QUIET, NOISY)
    for namespace in (QUIET, NOISY):
        cluster.traffic[f"{namespace}/web"] = Traffic(20.0)
        made.apply(cluster.server, made.app(namespace))
    cluster.start_operator()
    ready = silence(cluster)
    await cluster.until(lambda: cluster.clock.passed_s > 5 and ready(), 200, lambda: "settled")
    trouble(cluster)
    for namespace in (NOISY, QUIET):
        made.apply(cluster.server, made.app(namespace, replicas=4))
    since_s = cluster.clock()
    cycles = await cluster.until(lambda: _written_s(cluster), 50, lambda: "the order is written")
    return cycles, _written_s(cluster) - since_s


def _written_s(cluster: Cluster) -> float:
    """When the quiet app's order came to the API server; 0: it did not yet."""
    orders = (c for c in cluster.server.history["replicasets"] if c.raw["spec"]["replicas"] == 4)
    return next((c.at_s for c in orders if c.raw["metadata"]["namespace"] == QUIET), 0.0)


def outcome(trouble: Trouble) -> tuple[int, float]:
    cluster = Cluster()
    return run(cluster.clock, _ordered(cluster, trouble))


@pytest.mark.parametrize(
    "trouble", [webhook_hangs, router_never_acknowledges, both], ids=lambda t: t.__name__
)
def test_another_apps_scale_out_is_written_as_fast_as_without_it(trouble: Trouble) -> None:
    cycles, seconds = outcome(nothing)
    assert outcome(trouble) == (cycles, pytest.approx(seconds, abs=0.01))
