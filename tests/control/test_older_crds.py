"""Where the custom resources are older than the operator, what they drop is not written in every cycle."""

import logging
from typing import Any

import pytest

from kube.tenants import QUIET, Tenants, cluster

Raw = dict[str, Any]
CLAIMS = frozenset({"claims"})


def tenants(drops: frozenset[str]) -> Tenants:
    found = Tenants()
    found.load(cluster(QUIET))
    found.memory.drops = drops
    return found


def statuses(found: Tenants) -> list[Raw]:
    return [body["status"] for _, key, body in found.memory.of(QUIET) if key.startswith("elasticapps/")]


@pytest.mark.parametrize("drops", [frozenset(), CLAIMS], ids=["of the same version", "older"])
async def test_settled_means_silent(drops: frozenset[str], caplog: pytest.LogCaptureFixture) -> None:
    found = tenants(drops)
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            await found.once()
        before = len(statuses(found))
        for _ in range(30):
            await found.once()
    assert len(statuses(found)) == before > 0
    said = [record.message for record in caplog.records if "status.claims" in record.message]
    assert len(said) == len(drops)


async def test_once_they_are_of_this_version_what_they_dropped_is_written() -> None:
    found = tenants(CLAIMS)
    await found.once()
    found.memory.drops = frozenset()
    found.clock.passed_s += 300
    for _ in range(3):
        await found.once()
    assert found.memory.objects[f"elasticapps/{QUIET}/web"]["status"]["claims"]
