"""The label of the leader's pod, on the real API server, whatever was left there before."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from millpond.api.names import LABEL_LEADER
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.lead.leaderlabel import LeaderLabel

from kube.fault_proxy import FaultProxy, Status
from waiting import eventually_async

pytestmark = pytest.mark.integration


@dataclass
class Operators:
    api: Api
    namespace: str

    async def make(self, name: str, *, leads: bool = False) -> None:
        """A pod that is never scheduled."""
        meta = {"name": name, "labels": {LABEL_LEADER: "true"} if leads else {}}
        spec = {
            "containers": [{"name": "operator", "image": "operator"}],
            "schedulingGates": [{"name": "never.example/run"}],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        await self.api.create(paths.pods(self.namespace), pod)

    async def labelled(self) -> list[str]:
        found = (await self.api.list(paths.pods(self.namespace), f"{LABEL_LEADER}=true")).objects
        return sorted(pod["metadata"]["name"] for pod in found)


@pytest.fixture
async def operators(api: Api, namespace: str) -> AsyncIterator[Operators]:
    found = Operators(api, namespace)
    await found.make("a", leads=True)
    await found.make("b")
    return found


async def test_who_leads_takes_the_label_from_all_others(operators: Operators) -> None:
    label = LeaderLabel(operators.api, operators.namespace, "b")
    await label.tend("b")
    assert await operators.labelled() == ["a"], "who stands by leaves others alone"
    label.tell(leads=True)
    await label.tend("b")
    assert await operators.labelled() == ["b"]


async def test_who_leads_no_more_takes_it_from_itself(operators: Operators) -> None:
    await LeaderLabel(operators.api, operators.namespace, "a").tend("a")
    assert await operators.labelled() == [], "also what was left by the one before in the same pod"


async def test_it_is_told_at_once_and_tried_again_after_a_failure(
    operators: Operators, proxied: Api, proxy: FaultProxy
) -> None:
    label = LeaderLabel(proxied, operators.namespace, "b")
    fault = proxy.inject(lambda seen: seen.verb == "PATCH" and "/pods/" in seen.path, Status(500))
    task = asyncio.create_task(label.run())
    try:
        label.tell(leads=True)
        await eventually_async(lambda: any(s.verb == "PATCH" for s in proxy.seen), 5, "it was tried")
        fault.lift()
        await eventually_async(lambda: _is(operators, ["b"]), 20, "it was tried again")
        label.tell(leads=False)
        await eventually_async(lambda: _is(operators, []), 2, "at once")
    finally:
        task.cancel()


async def _is(operators: Operators, wanted: list[str]) -> bool:
    return await operators.labelled() == wanted


async def test_outside_of_a_pod_there_is_nothing_to_label(api: Api, namespace: str) -> None:
    await asyncio.wait_for(LeaderLabel(api, namespace, None).run(), 5)


async def test_a_pod_that_is_gone_is_no_failure(operators: Operators) -> None:
    label = LeaderLabel(operators.api, operators.namespace, "gone")
    label.tell(leads=True)
    await label.tend("gone")
    assert await operators.labelled() == []
