"""Editions are named as pipelines name them: like a commit, or like a release."""

import pytest

from memory import made
from memory.clock import run
from memory.cluster import Cluster
from memory.routers import Traffic
from memory.scenarios import Edit, settled

COMMIT = "3f2a1b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a"


async def _rolled_out(cluster: Cluster, *editions: str) -> None:
    made.furnished(cluster.server)
    cluster.traffic[made.KEY] = Traffic(20.0)
    cluster.start_operator()
    for number, name in enumerate(editions):
        edit = Edit({"edition": name}, {name: 1}, "Completed" if number else None)
        edit.apply(cluster)
        await settled(cluster, edit)
    assert not cluster.promises.broken


@pytest.mark.parametrize(
    "names", [("1.2.3", "1-2-3", "1_2_3", "1.2.4"), ("v1", COMMIT, COMMIT[:-1], "v2-RC1")]
)
def test_each_takes_over_from_the_one_before(names: tuple[str, ...]) -> None:
    cluster = Cluster()
    run(cluster.clock, _rolled_out(cluster, *names))
    assert {raw["spec"]["edition"] for raw in cluster.server.all("editions")} == {*names}


def test_an_edition_whose_objects_name_another_one_has_already_is_told() -> None:
    cluster = Cluster()

    async def story() -> None:
        await _rolled_out(cluster, "1.2.3")
        (taken,) = (raw["metadata"]["name"] for raw in cluster.server.all("editions"))
        made.apply(cluster.server, made.app(edition=taken.removeprefix(f"{made.APP}-")))
        await cluster.until(lambda: "1.2.3" in _conflict(cluster), 10, lambda: "the conflict is told")

    run(cluster.clock, story())


def _conflict(cluster: Cluster) -> str:
    found = made.stored(cluster.server)["status"].get("conditions", ())
    return next((c["message"] for c in found if c["reason"] == "EditionConflict"), "")
