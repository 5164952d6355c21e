"""Two operators, one Lease."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from millpond.clock import steady_s
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.lease import LeaderLease

from kube.fault_proxy import FaultProxy, Hang, Status
from waiting import eventually_async

pytestmark = pytest.mark.integration
DURATION_S = 1.5


@asynccontextmanager
async def candidate(api: Api, namespace: str, identity: str) -> AsyncIterator[LeaderLease]:
    lease = LeaderLease(api, namespace, "leader", identity, duration_s=DURATION_S)
    lease.start()
    try:
        yield lease
    finally:
        await lease.stop()


async def test_of_two_one_acts_and_the_other_takes_over_when_it_stops(api: Api, namespace: str) -> None:
    async with AsyncExitStack() as stack:
        leases = [await stack.enter_async_context(candidate(api, namespace, f"op-{n}")) for n in range(2)]
        await eventually_async(lambda: any(lease.held() for lease in leases), 10, "one leads")
        until_s = steady_s() + 3 * DURATION_S
        while steady_s() < until_s:
            assert sum(lease.held() for lease in leases) <= 1
            await asyncio.sleep(0.02)
        await eventually_async(lambda: any(lease.held() for lease in leases), 10, "one leads still")
        first, second = sorted(leases, key=lambda lease: not lease.held())
        await first.stop()
        assert not first.held()
        await eventually_async(second.held, 10, "the other takes over")
        spec = (await api.get(paths.leases(namespace, "leader")))["spec"]
        assert spec["holderIdentity"] == second.identity
        assert spec["leaseTransitions"] >= 1


@pytest.mark.parametrize(
    "fault", [pytest.param(Hang(), id="the server hangs"), pytest.param(Status(500), id="the server fails")]
)
async def test_a_leader_that_cannot_renew_stops_acting_before_another_starts(
    proxied: Api, proxy: FaultProxy, api: Api, namespace: str, fault: Hang | Status
) -> None:
    async with candidate(proxied, namespace, "cut-off") as first:
        await eventually_async(first.held, 10, "it leads")
        injection = proxy.inject(lambda seen: "leases" in seen.path, fault)
        async with candidate(api, namespace, "heir") as second:

            def taken_over() -> bool:
                assert not (first.held() and second.held()), "two leaders at once"
                return second.held()

            await eventually_async(taken_over, 15, "the other takes over")
        injection.lift()


async def test_a_leader_that_was_paused_past_its_lease_does_not_hold_it(api: Api, namespace: str) -> None:
    paused_s = [0.0]
    lease = LeaderLease(api, namespace, "leader", "op", lambda: steady_s() + paused_s[0], 60.0)
    lease.start()
    await eventually_async(lease.held, 10, "it leads")
    paused_s[0] = 49.0  # as if the process had been stopped: no renewal, and then it runs on
    assert not lease.held()
    await lease.stop()


async def test_a_wrong_wall_clock_neither_keeps_nor_loses_the_lease(api: Api, namespace: str) -> None:
    wrong = LeaderLease(
        api, namespace, "leader", "wrong", duration_s=DURATION_S, wall_clock=lambda: 4_000_000_000.0
    )
    wrong.start()
    await eventually_async(wrong.held, 10, "it leads")
    wrong._task.cancel()  # type: ignore[union-attr]  # dies without releasing
    async with candidate(api, namespace, "right") as right:
        await eventually_async(right.held, 10, "what the dead one wrote down is not believed")
