"""What the API server shows about an app becomes servers by state, orders in time, and decisions told once."""

from typing import Any

import pytest

from millpond.api.names import GATE, RETIRE_ANNOTATION
from millpond.control.observe import objects
from millpond.control.observe.headcount import Servers, count
from millpond.control.observe.objects import RetireIntent
from millpond.demo.recording import Order
from millpond.demo.watch import History

Raw = dict[str, Any]
META = {"namespace": "shop", "name": "web-1", "uid": "uid-1"}
VICTIM = RetireIntent(uid="uid-1", since_s=0.0, deadline_s=60.0, reason="LoadFell").dump()


def pod(*, ready: bool, phase: str = "Running", **metadata: object) -> Raw:
    status = "True" if ready else "False"
    conditions = [{"type": kind, "status": status} for kind in ("Ready", "ContainersReady", GATE)]
    return {"metadata": META | metadata, "status": {"phase": phase, "conditions": conditions}}


@pytest.mark.parametrize(
    ("found", "ready", "starting", "draining"),
    [
        pytest.param(pod(ready=True), 1, 0, 0, id="ready, gate and all"),
        pytest.param(pod(ready=False), 0, 1, 0, id="running but not ready yet"),
        pytest.param({"metadata": META}, 0, 1, 0, id="without any status yet"),
        pytest.param(
            pod(ready=True, annotations={RETIRE_ANNOTATION: VICTIM}), 0, 0, 1, id="named as a victim"
        ),
        pytest.param(pod(ready=True, deletionTimestamp="now"), 0, 0, 1, id="being deleted"),
        pytest.param(pod(ready=False, phase="Failed"), 0, 0, 0, id="failed: its replacement counts"),
    ],
)
def test_servers_by_state(found: Raw, ready: int, starting: int, draining: int) -> None:
    assert count([objects.pod(found)], ordered=3) == Servers(
        desired=3, ready=ready, starting=starting, draining=draining
    )


def test_orders_are_noted_when_they_change_and_timed_from_the_start_of_the_load() -> None:
    history = History()
    for at_s, servers in ((90.0, 0), (95.0, 1), (96.0, 1), (131.5, 2), (132.0, 2), (180.0, 1)):
        history.order(servers, at_s)
    assert history.orders_since(100.0) == (
        Order(t_s=0.0, servers=1),
        Order(t_s=31.5, servers=2),
        Order(t_s=80.0, servers=1),
    )


def test_a_decision_that_is_shown_again_is_noted_once_and_old_ones_stay() -> None:
    def entry(second: int) -> dict[str, Any]:
        at = f"2026-01-01T00:00:{second:02d}Z"
        return {"at": at, "action": "Grow", "reason": "GoalExceeded", "servers": 1, "wanted": 2, "needed": 2}

    history = History()
    history.decide([entry(1)])
    history.decide([entry(2), entry(1)])
    history.decide([entry(3), entry(2)])  # the oldest was dropped from the status
    times = [d.t_s for d in history.decisions.values()]
    assert [t - times[0] for t in times] == [0, 1, 2]
