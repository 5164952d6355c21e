"""What the API server shows about editions becomes moments, arrivals and servers in time."""

from typing import Any

from millpond.api.names import GATE, LABEL_EDITION, RETIRE_ANNOTATION
from millpond.control.observe import objects
from millpond.control.observe.objects import Pod, RetireIntent
from millpond.demo.takeovers import Takeovers

Raw = dict[str, Any]
VICTIM = RetireIntent(uid="uid-1", since_s=0.0, deadline_s=60.0, reason="EditionSwap").dump()


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def app(edition: str, **rollout: Any) -> Raw:
    told = {
        "edition": edition,
        "from": "v1",
        "strategy": "Canary",
        "startedAt": "x",
        "stepAt": "x",
        **rollout,
    }
    return {"spec": {"edition": edition}, "status": {"rollout": told} if rollout else {}}


def pod(edition: str, *true: str, **annotations: str) -> Pod:
    """Ready: with its gate."""
    gate = (GATE, "ContainersReady") if "Ready" in true else ()
    conditions = [{"type": name, "status": "True"} for name in {*true, *gate}]
    meta = {"labels": {LABEL_EDITION: edition}, "annotations": annotations}
    meta |= {"namespace": "shop", "name": "web-1", "uid": "uid-1"}
    return objects.pod({"metadata": meta, "status": {"conditions": conditions}})


def test_a_rollout_is_noted_when_it_changes_and_timed_from_the_start_of_the_load() -> None:
    clock = Clock()
    found = Takeovers(clock)
    found.note_app(app("v1"))
    for at_s, step, reason in ((110.0, 0, "NewEdition"), (111.0, 0, "NewEdition"), (115.5, 1, "NextStep")):
        clock.now_s = at_s
        found.note_app(app("v2", phase="Progressing", step=step, weight=10 * step, steps=2, reason=reason))
    moments = found.moments_since(105.0)
    assert [(m.t_s, m.edition, m.step, m.weight, m.reason) for m in moments] == [
        (5.0, "v2", 0, 0, "NewEdition"),
        (10.5, "v2", 1, 10, "NextStep"),
    ]
    assert [(a.t_s, a.edition) for a in found.arrivals_since(105.0)] == [(5.0, "v2")]


def test_the_start_of_an_editions_first_server_is_measured_and_leaving_servers_are_none() -> None:
    clock = Clock()
    found = Takeovers(clock)
    found.note_app(app("v2"))
    leaving = pod("v2", "ContainersReady", **{RETIRE_ANNOTATION: VICTIM})
    for at_s, pods in (
        (101.0, [pod("v1", "Ready"), leaving]),
        (102.0, [pod("v1", "Ready"), pod("v2")]),
        (104.5, [pod("v1", "Ready"), pod("v2", "ContainersReady")]),
        (105.0, [pod("v1", "Ready"), pod("v2", "ContainersReady", "Ready")]),
    ):
        clock.now_s = at_s
        found.note_pods(pods)
    (arrival,) = found.arrivals_since(100.0)
    assert (arrival.created_s, arrival.up_s, arrival.start_s) == (2.0, 4.5, 2.5)
    ready = [(r.t_s, dict(r.servers)) for r in found.ready_since(104.0)]
    assert ready == [(0.0, {"v1": 1}), (1.0, {"v1": 1, "v2": 1})]
