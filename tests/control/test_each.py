"""Each app by itself: a write that hangs is waited for once, and by nobody else."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from millpond.control import cycle
from millpond.control.guard.each import AT_ONCE, TURNS, Each
from millpond.control.guard.faults import Faults
from millpond.control.guard.lanes import PER_NAMESPACE
from millpond.control.learn.learner import Learner
from millpond.control.report import writer
from millpond.control.routing import publisher
from millpond.kube.errors import Unavailable

from kube.tenants import NOISY, QUIET, Tenants, cluster
from waiting import eventually_async


class Worker:
    """Works that count, and hang where told until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.now = self.most = 0
        self.go = asyncio.Event()

    def of(self, key: str, *, hangs: bool = False) -> Callable[[], object]:
        async def work() -> None:
            self.begun.append(key)
            self.now += 1
            self.most = max(self.most, self.now)
            if hangs:
                await self.go.wait()
            await asyncio.sleep(0)
            self.now -= 1

        return work


async def test_who_hangs_is_busy_until_it_is_done_and_the_others_are_served() -> None:
    each, worker = Each(patience_s=0.05), Worker()
    works = {f"{NOISY}/{n}": worker.of(f"{NOISY}/{n}", hangs=True) for n in range(20)}
    works |= {f"{QUIET}/{n}": worker.of(f"{QUIET}/{n}") for n in range(20)}
    each.begin(works)
    await each.do("write", works)  # type: ignore[arg-type]
    assert sorted(k for k in worker.begun if k.startswith(QUIET)) == sorted(
        k for k in works if k.startswith(QUIET)
    )
    assert len(each.busy) == PER_NAMESPACE
    assert len([k for k in worker.begun if k.startswith(NOISY)]) == PER_NAMESPACE, "what waits is not begun"

    worker.begun.clear()
    each.begin(works)
    await each.do("write", works)  # type: ignore[arg-type]
    assert all(k.startswith(QUIET) for k in worker.begun)
    worker.go.set()
    await eventually_async(lambda: not each.busy, 5, "all are done")
    await each.do("write", works)  # type: ignore[arg-type]
    assert {k for k in works if k.startswith(NOISY)} <= set(worker.begun)


async def test_at_most_so_many_at_once_and_who_had_to_wait_is_first_the_next_time() -> None:
    each, worker = Each(patience_s=0.05), Worker()
    works = {f"n{n}/app": worker.of(f"n{n}/app", hangs=True) for n in range(AT_ONCE)}
    works |= {f"late-{n}/app": worker.of(f"late-{n}/app") for n in range(5)}
    each.begin(works)
    await each.do("write", works)  # type: ignore[arg-type]
    assert worker.most == AT_ONCE
    assert not [k for k in worker.begun if k.startswith("late")]
    await each.do("write", works)  # type: ignore[arg-type]
    assert [k for k in worker.begun if k.startswith("late")] == [f"late-{n}/app" for n in range(5)]
    await each.stop()
    assert not each.busy


async def test_what_the_api_server_answers_is_no_fault_and_is_said_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    each = Each(Faults(clock=lambda: now[0]))

    async def refused() -> None:
        raise Unavailable("x" * 100_000, 503)

    for _ in range(100):
        now[0] += 1
        each.begin(["a/b"])
        await each.do("write", {"a/b": refused})
    assert not each.faults.shown
    assert len(caplog.records) == 2
    assert "and 59 times before" in caplog.records[1].getMessage()
    assert all(len(r.getMessage()) < 1_200 for r in caplog.records)


async def test_a_namespace_whose_writes_hang_keeps_no_other_tenant_waiting() -> None:
    tenants, others = Tenants(patience_s=0.1), Tenants()
    for t in (tenants, others):
        t.load(cluster(QUIET, NOISY))
    tenants.memory.hangs = lambda path: f"/{NOISY}/" in path
    for _ in range(4):
        async with asyncio.timeout(5):
            await tenants.once()
        await others.once()
    assert tenants.memory.of(QUIET) == others.memory.of(QUIET)
    assert not tenants.memory.of(NOISY)
    assert tenants.routers.apps.keys() == others.routers.apps.keys()
    assert tenants.routers.apps[f"{NOISY}/web"] is not None
    assert list(tenants.cycle.each.busy) == [f"{NOISY}/web"]
    tenants.memory.hangs = lambda path: False
    await tenants.cycle.each.stop()
    for _ in range(4):
        await tenants.once()
    assert tenants.memory.of(NOISY)


async def test_between_its_looks_at_all_apps_a_cycle_lets_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenants, turns = Tenants(), [0]
    tenants.load(cluster(QUIET))
    for _ in range(4):
        await tenants.once()

    async def count() -> None:
        while True:
            await asyncio.sleep(0)
            turns[0] += 1

    counting, at = asyncio.create_task(count()), []
    for where, name in ((Learner, "learn"), (publisher, "app_routes"), (cycle, "plan"), (writer, "status")):
        monkeypatch.setattr(where, name, _noting(getattr(where, name), lambda: at.append(turns[0])))
    await tenants.once()
    counting.cancel()
    assert all(later - earlier >= TURNS - 1 for earlier, later in pairwise(at))
    assert len(at) == 4


def _noting(original: Callable[..., Any], note: Callable[[], None]) -> Callable[..., Any]:
    def noting(*args: Any, **more: Any) -> Any:
        note()
        return original(*args, **more)

    return noting
