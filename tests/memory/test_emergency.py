"""An emergency is one edition's: the next one waits for its change window as ever."""

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.patches import Raw
from memory.routers import Traffic
from memory.scenarios import Edit, settled

NIGHTS = [{"start": "22:00", "end": "23:00", "timeZone": "UTC"}]  # it is midnight when the clock begins
FIRE = {"emergency": "v1 loses orders", "emergencyEdition": "v2", "soak": "1s"}


def edit(edition: str, serves: str, phase: str | None, **rollout: object) -> Edit:
    return Edit({"edition": edition, "changeWindows": NIGHTS, "rollout": rollout}, {serves: 1}, phase)


def told(cluster: Cluster) -> Raw:
    found: Raw = made.stored(cluster.server)["status"]["rollout"]
    return found


def test_what_is_left_in_spec_lets_no_later_edition_through() -> None:
    cluster = Cluster()

    async def story() -> None:
        made.furnished(cluster.server)
        cluster.traffic[made.KEY] = Traffic(20.0)
        cluster.start_operator()
        for step in (edit("v1", "v1", None), edit("v2", "v2", "Completed", **FIRE)):
            step.apply(cluster)
            await settled(cluster, step)
        assert told(cluster)["emergency"] == "v1 loses orders"
        later = edit("v3", "v2", "Waiting", **FIRE)
        later.apply(cluster)
        await settled(cluster, later)
        assert "emergency" not in told(cluster)
        assert "emergencyEdition is not v3" in told(cluster)["message"]

    run(cluster.clock, story())
