"""What is observed of an app is found out once a cycle, and once more only after a write of its own."""

from millpond.control.due import MOST_S

from kube.counting import DERIVED, REGROUPED, counted
from kube.tenants import NOISY, QUIET, by_hand


async def test_a_settled_cycle_derives_each_thing_once_per_app_and_groups_the_cluster_once() -> None:
    tenants = await by_hand(QUIET, NOISY)
    tenants.clock.passed_s += MOST_S  # it is everybody's turn
    with counted() as calls:
        await tenants.once()
    assert not tenants.memory.writes
    assert calls == {**dict.fromkeys(DERIVED, 2), REGROUPED: 1}


async def test_after_a_write_only_the_app_that_was_written_is_looked_at_again() -> None:
    tenants = await by_hand(QUIET, NOISY)
    tenants.lose(QUIET, replicas=1)
    tenants.clock.passed_s += MOST_S
    with counted() as calls:
        outcome = await tenants.once()
    assert tenants.orders(QUIET) == [2]
    assert outcome.acted.keys() == {f"{QUIET}/web"}
    assert calls == {**dict.fromkeys(DERIVED, 3), REGROUPED: 1}
    assert outcome.records[f"{QUIET}/web"].sets["v1"].replicas == 2
