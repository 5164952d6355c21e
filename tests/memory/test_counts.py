"""Every app that exists is counted, in /metrics and in its status, whatever is wrong with it."""

from millpond.control.outcome import Outcome
from millpond.control.report.figures import Figures
from millpond.kube import paths

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.routers import Traffic
from memory.scenarios import Edit, settled

TWO = Edit({"replicas": 2}, {"v1": 2})


async def _shown(cluster: Cluster, figures: Figures) -> tuple[int, int]:
    """Servers desired and ready, after one more cycle."""
    operator = cluster.operator
    assert operator is not None
    await cluster.pass_time()
    operator.hear()
    outcome: Outcome = await operator.cycle.once()
    cycle = operator.cycle
    shown = figures.all(outcome, cycle.candidates, cycle.world, cycle.each)[made.KEY]
    return shown.desired, shown.ready


async def _serving(cluster: Cluster) -> Figures:
    made.furnished(cluster.server)
    cluster.traffic[made.KEY] = Traffic(20.0)
    cluster.start_operator()
    TWO.apply(cluster)
    await settled(cluster, TWO)
    figures = Figures()
    assert await _shown(cluster, figures) == (2, 2)
    return figures


def _told(cluster: Cluster) -> tuple[int, int, str]:
    status = made.stored(cluster.server)["status"]
    reason = next(c["reason"] for c in status["conditions"] if c["type"] == "Ready")
    return status["servers"]["desired"], status["servers"]["ready"], reason


def test_an_app_whose_policy_is_deleted_still_has_its_servers() -> None:
    cluster = Cluster()

    async def story() -> None:
        figures = await _serving(cluster)
        cluster.server.delete(paths.slapolicies("gold"))
        await cluster.until(lambda: _told(cluster)[2] == "PolicyNotFound", 10, lambda: str(_told(cluster)))
        assert await _shown(cluster, figures) == (2, 2)
        assert _told(cluster) == (2, 2, "PolicyNotFound")
        assert made.stored(cluster.server)["status"]["replicas"] == 2

    run(cluster.clock, story())


def test_an_app_with_a_problem_that_loses_its_servers_is_seen_to_have_none() -> None:
    cluster = Cluster()

    async def story() -> None:
        figures = await _serving(cluster)
        cluster.server.delete(paths.slapolicies("gold"))
        for pod in cluster.server.all("pods"):
            cluster.server.delete(paths.pods(made.NAMESPACE, pod["metadata"]["name"]), at_once=True)
        assert await _shown(cluster, figures) == (2, 0)

    run(cluster.clock, story())


def test_an_app_that_never_had_a_server_wants_the_fewest_that_its_spec_asks_for() -> None:
    cluster = Cluster()

    async def story() -> None:
        made.furnished(cluster.server)
        made.apply(cluster.server, made.app(pool="nowhere", servers={"min": 2, "max": 4}))
        cluster.start_operator()
        assert await _shown(cluster, Figures()) == (2, 0)

    run(cluster.clock, story())


def test_an_app_that_cannot_be_read_is_shown_as_it_was_counted_last() -> None:
    cluster = Cluster()

    async def story() -> None:
        figures = await _serving(cluster)
        assert cluster.operator is not None
        cycle = cluster.operator.cycle
        unreadable = Outcome(at_s=cluster.clock(), due=frozenset({made.KEY}), records={made.KEY: None})  # type: ignore[dict-item]
        shown = figures.all(unreadable, cycle.candidates, cycle.world, cycle.each)[made.KEY]
        assert (shown.desired, shown.ready) == (2, 2)

    run(cluster.clock, story())
