import asyncio
from typing import Any, cast

import pytest

from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.events import SILENCE_S, Event, Events, Type
from millpond_policies.reasons import Reason

from kube.fault_proxy import FaultProxy, Status
from waiting import eventually_async

T0 = 1_700_000_000.0
GROWN = Event(
    key="shop/web",
    uid="u-1",
    kind="ElasticApp",
    reason=Reason.SCALED_OUT,
    message="edition v1: 1 -> 2 servers",
    dedupe=("v1", 2),
)


class Now:
    def __init__(self) -> None:
        self.s = T0

    def __call__(self) -> float:
        return self.s


def _other(**changes: object) -> Event:
    values = {name: getattr(GROWN, name) for name in Event.__slots__}
    return Event(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("again", "after_s", "written"),
    [
        pytest.param(GROWN, 1, False, id="the same thing a second later: not said again"),
        pytest.param(_other(message="other words"), 1, False, id="the same thing in other words: not either"),
        pytest.param(GROWN, SILENCE_S, True, id="the same thing ten minutes later: said again"),
        pytest.param(_other(dedupe=("v1", 4)), 1, True, id="another step: said"),
        pytest.param(_other(uid="u-2"), 1, True, id="the same of an object that was recreated: said"),
        pytest.param(_other(reason=Reason.SCALED_IN), 1, True, id="another reason: said"),
        pytest.param(
            GROWN, -3600, True, id="the clock was set back an hour: rather twice than silent for an hour"
        ),
    ],
)
def test_what_is_said_again(again: Event, after_s: float, written: bool) -> None:
    now = Now()
    events = Events(Api(), instance="op-1", clock=now)
    assert events.post(GROWN)
    now.s += after_s
    assert events.post(again) is written


def test_too_many_at_once_are_dropped_and_it_recovers() -> None:
    now = Now()
    events = Events(Api(), instance="op-1", clock=now)
    posted = [events.post(_other(dedupe=(n,))) for n in range(100)]
    assert posted == [True] * 25 + [False] * 75
    now.s += 2
    assert [events.post(_other(dedupe=("later", n))) for n in range(3)] == [True, True, False]


def test_a_noisy_namespace_uses_up_nobody_elses_allowance() -> None:
    now = Now()
    events = Events(Api(), instance="op-1", clock=now)
    for second in range(100):
        now.s += 1
        for n in range(100):
            events.post(_other(key="noisy/web", dedupe=(second, n)))
        assert events.post(_other(key="quiet/web", uid="u-2", dedupe=(second,))) is (second < 50), (
            "its queue is full"
        )


async def test_events_of_a_namespace_that_hangs_keep_no_others_waiting() -> None:
    written: list[str] = []

    class Slow:
        async def create(self, path: str, body: dict[str, Any]) -> None:
            if body["metadata"]["namespace"] == "noisy":
                await asyncio.Event().wait()
            written.append(body["metadata"]["namespace"])

    events = Events(cast(Api, Slow()), instance="op-1", clock=Now())
    events.start()
    for n in range(20):
        events.post(_other(key="noisy/web", dedupe=(n,)))
        events.post(_other(key="quiet/web", uid="u-2", dedupe=(n,)))
    await eventually_async(lambda: len(written) == 20, 2, "the quiet one's events are written")
    assert set(written) == {"quiet"}
    await events.stop()


@pytest.mark.integration
async def test_an_event_reaches_its_object_once_even_after_a_restart(
    proxied: Api, proxy: FaultProxy, namespace: str
) -> None:
    about = _other(key=f"{namespace}/web", type=Type.WARNING)
    for _ in range(2):  # the second one knows nothing of the first
        events = Events(proxied, instance="op-1", clock=lambda: T0)
        events.start()
        assert events.post(about)
        await events.stop()
    (written,), _ = await proxied.list(paths.events(namespace))
    assert written["regarding"]["name"] == "web"
    assert written["reason"] == "ScaledOut"
    assert written["note"] == "edition v1: 1 -> 2 servers"
    assert written["type"] == "Warning"


@pytest.mark.integration
async def test_a_server_that_refuses_events_disturbs_nobody(
    proxied: Api, proxy: FaultProxy, namespace: str
) -> None:
    proxy.inject(lambda seen: seen.write and seen.path.endswith("/events"), Status(403), times=1)
    events = Events(proxied, instance="op-1")
    events.start()
    events.post(_other(key=f"{namespace}/web"))
    events.post(_other(key=f"{namespace}/web", dedupe=("next",)))

    async def written() -> bool:
        return len((await proxied.list(paths.events(namespace)))[0]) == 1

    await eventually_async(written, 10, "the next event is written")
    await events.stop()
