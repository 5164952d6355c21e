"""What is written beside the cycles: status, which keeps no order waiting, and one app's order at once."""

import asyncio
from collections.abc import Callable
from typing import Any

from millpond.api.names import RETIRE_ANNOTATION
from millpond.control.guard.beside import AT_ONCE, Beside
from millpond.control.guard.faults import Faults
from millpond.control.guard.lanes import PER_NAMESPACE
from millpond.control.observe.objects import RetireIntent

from kube.tenants import NOISY, QUIET, by_hand
from waiting import eventually_async

WEB = f"{QUIET}/web"


async def test_while_a_write_of_another_app_holds_the_cycle_one_apps_order_is_written_at_once() -> None:
    tenants = await by_hand(QUIET, NOISY)
    tenants.memory.hangs = lambda path: f"/{NOISY}/" in path
    tenants.lose(NOISY, replicas=1)
    held = asyncio.create_task(tenants.once())
    await eventually_async(lambda: f"{NOISY}/web" in tenants.cycle.each._going, 5, "its write is under way")
    tenants.lose(QUIET, replicas=1)
    async with asyncio.timeout(2):
        assert await tenants.cycle.urgent(WEB)
    assert tenants.orders(QUIET) == [2]
    assert not held.done(), "the cycle is held all the while"
    assert not await tenants.cycle.urgent(f"{NOISY}/web"), "a write of this app is under way"
    assert tenants.orders(NOISY) == []
    held.cancel()
    await tenants.cycle.each.stop()
    tenants.memory.hangs = lambda path: False
    outcome = await tenants.once()
    assert [type(v).__name__ for v in outcome.late[WEB]] == ["Grow"], "it is counted and told like any other"
    assert tenants.orders(QUIET) == [2]


async def test_what_the_running_cycle_planned_before_an_urgent_write_is_not_carried_out() -> None:
    tenants = await by_hand(QUIET, NOISY)
    tenants.lose(QUIET, replicas=1)
    urgent: list[bool] = []

    async def once() -> None:
        urgent.append(await tenants.cycle.urgent(WEB))

    do = tenants.cycle.each.do

    async def before_it_acts(step: str, works: Any) -> None:
        if step == "apply":
            await once()
        await do(step, works)

    tenants.cycle.each.do = before_it_acts  # type: ignore[method-assign]
    outcome = await tenants.once()
    assert urgent == [True]
    assert tenants.orders(QUIET) == [2]
    assert outcome.failed.keys() == {WEB}, "planned, and not done by this cycle"


async def test_a_status_that_hangs_delays_no_order_of_the_same_app() -> None:
    tenants = await by_hand(QUIET, NOISY, patience_s=0.1)
    tenants.memory.hangs = lambda path: path.endswith("/status")
    for wanted in (1, 3):
        tenants.memory.writes.clear()
        tenants.lose(QUIET, replicas=wanted)  # its status changes, too
        await tenants.once()
        if wanted == 1:
            assert tenants.orders(QUIET) == [2]
            assert WEB in tenants.cycle.each.telling.going
            assert WEB not in tenants.cycle.each.busy
    await tenants.cycle.each.stop()


async def test_with_hurry_no_cycle_waits_for_status() -> None:
    tenants = await by_hand(QUIET, NOISY)
    tenants.memory.hangs = lambda path: path.endswith("/status")
    tenants.cycle.reporter.hurry = asyncio.Event()
    tenants.cycle.reporter.hurry.set()
    tenants.lose(QUIET, replicas=1)
    async with asyncio.timeout(5):  # its patience alone is longer
        await tenants.once()
    assert tenants.orders(QUIET) == [2]
    await tenants.cycle.each.stop()


async def test_routers_that_do_not_answer_hold_no_cycle() -> None:
    tenants = await by_hand(QUIET, NOISY)
    objects = dict(tenants.memory.objects)
    pod, now_s = objects[f"pods/{QUIET}/web-v1-a"], tenants.clock()
    uid = pod["metadata"]["uid"]
    intent = RetireIntent(uid=uid, since_s=now_s, deadline_s=now_s + 600, reason="LoadFell")
    meta = {**pod["metadata"], "annotations": {RETIRE_ANNOTATION: intent.dump()}}
    objects[f"pods/{QUIET}/web-v1-a"] = {**pod, "metadata": meta}

    async def never(endpoints: Any) -> None:
        await asyncio.Event().wait()

    tenants.routers.ask = never  # type: ignore[method-assign, assignment]
    tenants.memory.version += 1
    tenants.load(objects)
    for _ in range(6):
        async with asyncio.timeout(5):
            await tenants.once()
    assert tenants.cycle.drains._asking is not None
    tenants.cycle.drains._asking.cancel()


async def test_the_newest_offer_is_written_in_lanes_of_its_own() -> None:
    beside, go, begun = Beside(Faults()), asyncio.Event(), []

    def work(name: str) -> Callable[[], Any]:
        async def run() -> None:
            begun.append(name)
            await go.wait()

        return run

    keys = [f"{namespace}/{n}" for namespace in ("a", "b", "c") for n in range(5)]
    beside.begin()
    beside.offer("status", {key: work(f"old {key}") for key in keys})
    await beside.settle(0.01)
    assert len(begun) == AT_ONCE
    assert all(sum(name.startswith(f"old {n}/") for name in begun) <= PER_NAMESPACE for n in "abc")
    beside.offer("status", {key: work(f"new {key}") for key in keys if key not in beside.going})
    go.set()
    await eventually_async(lambda: not beside.going, 5, "all is written")
    assert sorted(begun[AT_ONCE:]) == sorted(f"new {k}" for k in keys if f"old {k}" not in begun)
