"""In mode Manual people say how many servers there are: what they ask for in vain is said at once, and not begun."""

import pytest

from millpond.kube.raw import of_kind

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.patches import Raw
from memory.routers import Traffic
from memory.scenarios import Edit, settled

LIMITS = {"min": 1, "max": 4}


def asking(replicas: int, given: int) -> Edit:
    return Edit({"replicas": replicas, "servers": LIMITS}, {"v1": given})


def ignored(cluster: Cluster) -> Raw:
    conditions = of_kind(made.stored(cluster.server).get("status", {}).get("conditions"))
    return dict(conditions.get("ReplicasIgnored", {}))


async def begun(cluster: Cluster, edit: Edit) -> None:
    made.furnished(cluster.server)
    cluster.traffic[made.KEY] = Traffic(20.0)
    cluster.start_operator()
    edit.apply(cluster)
    await settled(cluster, edit)


def test_no_server_is_made_above_the_ceiling_and_the_app_is_ready_with_what_it_may_have() -> None:
    cluster = Cluster()
    run(cluster.clock, begun(cluster, asking(6, 4)))
    assert len({change.raw["metadata"]["name"] for change in cluster.server.history["pods"]}) == 4
    conditions = of_kind(made.stored(cluster.server)["status"]["conditions"])
    assert conditions["Ready"]["status"] == "True"
    assert (conditions["Limited"]["status"], conditions["Limited"]["reason"]) == ("True", "AtCeiling")


@pytest.mark.parametrize(
    ("replicas", "given", "reason"),
    [
        pytest.param(6, 4, "AtCeiling", id="more than the ceiling"),
        pytest.param(0, 1, "AtFloor", id="fewer than the floor"),
    ],
)
def test_what_is_asked_for_in_vain_is_said_in_the_next_cycle_and_unsaid_when_it_is_mended(
    replicas: int, given: int, reason: str
) -> None:
    cluster = Cluster()

    async def story() -> None:
        await begun(cluster, asking(2, 2))
        assert not ignored(cluster)
        edit = asking(replicas, given)
        edit.apply(cluster)
        await cluster.until(lambda: ignored(cluster), 3, lambda: "it is said")
        said = ignored(cluster)
        assert (said["status"], said["reason"]) == ("True", reason)
        assert f"asks for {replicas} servers and gets {given}" in said["message"]
        await settled(cluster, edit)
        asking(3, 3).apply(cluster)
        await settled(cluster, asking(3, 3))
        assert ignored(cluster)["status"] == "False"

    run(cluster.clock, story())


def test_replicas_that_are_ignored_outside_mode_manual_are_not_said_to_be_once_they_count() -> None:
    cluster = Cluster()

    async def story() -> None:
        await begun(cluster, Edit({"mode": "Automatic", "replicas": 2, "servers": LIMITS}, {"v1": 1}))
        assert ignored(cluster)["status"] == "True"
        asking(2, 2).apply(cluster)
        await settled(cluster, asking(2, 2))
        assert ignored(cluster)["status"] == "False"

    run(cluster.clock, story())
