"""A cycle looks at apps of which something is new or that are on their way, and at the others within seconds."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from millpond.control import due
from millpond.control.due import MOST_S, Due
from millpond.control.guard.beside import Beside
from millpond.control.guard.faults import Faults
from millpond.control.outcome import NOT_PUBLISHED, Outcome
from millpond.kube.errors import Unavailable
from millpond.router.telemetry.collector import Collected, EditionSecond
from millpond_policies.learn.histogram import BOUNDS_MS, EMPTY
from millpond_policies.world.model import Freshness

from kube.tenants import Tenants, by_hand

NAMES = [f"tenant-{n:02}" for n in range(20)]
KEYS = [f"{name}/web" for name in NAMES]
FIRST, SECOND = KEYS[:2]


async def at_rest() -> Tenants:
    """Twenty apps that each had their turn since they were settled."""
    return await by_hand(*NAMES, cycles=12)


def routers_report(tenants: Tenants, busy: Mapping[str, int], complete: bool = True) -> None:
    """From now on, every second: so many requests of each app, and none of the others."""

    def second(requests: int) -> EditionSecond:
        histogram = (requests, *[0] * len(BOUNDS_MS)) if requests else EMPTY
        return EditionSecond(requests=requests, sum_ms=50.0 * requests, histogram=histogram)

    def collect(now_s: float) -> Any:
        return Collected(
            at_s=now_s,
            complete=complete,
            window_s=1.0,
            editions={f"{key}/v1": second(busy.get(key, 0)) for key in KEYS},
            endpoints={},
        )

    tenants.routers.collect = collect  # type: ignore[method-assign]


async def test_every_app_at_rest_has_its_turn_within_five_seconds_and_a_cycle_looks_at_few() -> None:
    tenants = await at_rest()
    looked: Counter[str] = Counter()
    for _ in range(2 * int(MOST_S)):
        outcome = await tenants.once()
        looked.update(outcome.due)
        assert len(outcome.due) == len(KEYS) / MOST_S
        assert outcome.records.keys() == outcome.apps.keys() == set(KEYS), "all are known all the same"
    assert looked == dict.fromkeys(KEYS, 2)
    assert not tenants.memory.writes


async def test_an_app_of_which_something_is_new_is_looked_at_at_once() -> None:
    tenants = await at_rest()
    for name in (NAMES[7], NAMES[3]):
        tenants.lose(name, replicas=1)
        outcome = await tenants.once()
        assert f"{name}/web" in outcome.due
        assert tenants.orders(name) == [2]


async def test_an_edit_of_a_policy_of_all_apps_holds_up_no_app_with_other_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "LATER_AT_ONCE", 3)
    tenants = await at_rest()
    goal = {"type": "averageResponseTime", "target": "250ms"}
    policy = tenants.memory.objects["slapolicies//gold"]
    tenants.memory.version += 1
    meta = {**policy["metadata"], "resourceVersion": str(tenants.memory.version)}
    tenants.load(
        {**tenants.memory.objects, "slapolicies//gold": {**policy, "metadata": meta, "spec": {"goal": goal}}}
    )
    tenants.lose(NAMES[19], replicas=1)
    outcome = await tenants.once()
    assert KEYS[19] in outcome.due
    assert len(outcome.due) <= 1 + 3 + len(KEYS) / MOST_S
    assert tenants.orders(NAMES[19]) == [2]
    for _ in range(4):
        await tenants.once()
    goals = {raw["status"]["goal"] for raw in tenants.memory.all("elasticapps")}
    assert goals == {"average ≤ 250 ms"}


@pytest.mark.parametrize("passed_s", [-600.0, 600.0], ids=["set back", "set forward"])
async def test_when_the_clock_was_set_every_app_is_looked_at(passed_s: float) -> None:
    tenants = await at_rest()
    tenants.clock.passed_s += passed_s
    assert (await tenants.once()).due == set(KEYS)


async def test_requests_are_news_and_their_absence_is_none() -> None:
    tenants = await at_rest()
    routers_report(tenants, {})
    for _ in range(3):  # that all routers report is news of all apps, and stands in their status then
        await tenants.once()
    assert len((await tenants.once()).due) == len(KEYS) / MOST_S
    routers_report(tenants, {FIRST: 5})
    for _ in range(8):
        assert FIRST in (await tenants.once()).due


async def test_a_report_that_is_missing_is_news_of_every_app() -> None:
    tenants = await at_rest()
    routers_report(tenants, {})
    for _ in range(3):
        await tenants.once()
    routers_report(tenants, {}, complete=False)
    assert (await tenants.once()).due == set(KEYS)
    routers_report(tenants, {})
    assert (await tenants.once()).due == set(KEYS), "and that it is there again"


async def test_of_an_app_that_was_not_looked_at_the_silence_is_known_all_the_same() -> None:
    tenants = await at_rest()
    routers_report(tenants, {})
    first_s = tenants.clock()
    for _ in range(60):
        await tenants.once()
        now_s, known = tenants.clock(), tenants.cycle.learner.knowledge
        assert {known.of(key, "v1").freshness(now_s) for key in KEYS} == {Freshness.FRESH}
    routers_report(tenants, {FIRST: 5})
    began_s = tenants.clock()
    for _ in range(3):
        await tenants.once()
    memory = known.of(FIRST, "v1").memory
    assert memory.fresh_since_s == first_s
    ends = [second.at_s for second in memory.recent]
    assert [end - s.window_s for end, s in zip(ends[1:], memory.recent[1:], strict=True)] == ends[:-1]
    assert memory.rate_rps(tenants.clock(), 3.0) == 5.0
    assert [s.requests for s in memory.recent if s.at_s <= began_s] == [0] * (len(ends) - 3)


async def test_what_routers_acknowledge_is_news_of_that_app() -> None:
    apps = Due()
    apps.begin(KEYS, KEYS, 0.0)
    apps.ended(Outcome(at_s=0.0), ())
    apps.begin(KEYS, (), 0.0)
    apps.now.clear()
    for published in (
        replace(NOT_PUBLISHED, confirmed=frozenset({FIRST})),
        replace(NOT_PUBLISHED, confirmed=frozenset({FIRST}), routed=frozenset({FIRST})),
        replace(NOT_PUBLISHED, confirmed=frozenset({FIRST}), rejected={FIRST: "no"}),
        replace(NOT_PUBLISHED, confirmed=frozenset({FIRST}), rejected={FIRST: "never"}),
        NOT_PUBLISHED,
    ):
        apps.heard(published)
        assert apps.now == {FIRST}
        apps.now.clear()
    apps.heard(replace(NOT_PUBLISHED, lingering=frozenset({"gone/web"})))
    assert apps.now == set(), "it is no app any more"


async def test_a_write_that_was_refused_is_tried_again_in_the_next_cycle() -> None:
    tenants = await at_rest()
    tenants.lose(NAMES[0], replicas=1)
    api: Any = tenants.cycle.acts.hands.api
    patch = api.patch

    async def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("the API server restarts")

    api.patch = refuse
    await tenants.once()
    assert tenants.orders(NAMES[0]) == []
    api.patch = patch
    assert FIRST in (await tenants.once()).due
    assert tenants.orders(NAMES[0]) == [2]


async def test_a_status_that_waits_for_its_turn_is_written_although_the_next_cycle_does_not_look_at_the_app() -> (
    None
):
    beside, go, begun = Beside(Faults(), at_once=1), asyncio.Event(), []

    def work(name: str) -> Any:
        async def run() -> None:
            begun.append(name)
            await go.wait()

        return run

    beside.begin()
    beside.offer("status", {FIRST: work("first"), SECOND: work("second"), "gone/web": work("gone")})
    await beside.settle(0.01)
    beside.begin()
    beside.offer("status", {}, keep=KEYS)
    go.set()
    await beside.settle(1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert begun == ["first", "second"], "and nothing about an app that is gone"
    assert beside.over() == {FIRST, SECOND}
