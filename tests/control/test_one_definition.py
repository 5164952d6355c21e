"""What serves, and what is paused, means the same to whoever decides, learns or shows it."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from millpond.cli.show.servers import _state
from millpond.control.learn.knowledge import Knowledge, Observed
from millpond.control.learn.learner import _cpu_cores
from millpond.control.observe.headcount import count
from millpond.control.observe.objects import Pod
from millpond.control.report.status import status
from millpond.control.snapshot.apps import app_view, is_paused, state
from millpond_policies.plan import of_apps, plan
from millpond_policies.reasons import Reason
from millpond_policies.world.model import Goal, GoalKind, ServerState, Snapshot

from kube.builders import POD, SET, app, holdings, record, retiring

NOW_S = 2_000_000_000.0
GOAL = Goal(kind=GoalKind.AVERAGE, target_ms=300.0)
INTENT = retiring().retire


def pods() -> list[Pod]:
    """Every mixture of what tells whether a server serves."""
    gates, phases = (None, False, True), ("Running", "Failed")
    mixtures = product((False, True), gates, (False, True), (None, INTENT), phases)
    return [
        replace(
            POD, containers_ready=ready, ready=ready, gate=gate, deleting=deleting, retire=retire, phase=phase
        )
        for ready, gate, deleting, retire, phase in mixtures
    ]


def learned(pod: Pod) -> int:
    """How many servers served, as the sample says that is learned from."""
    observed = Observed(
        at_s=NOW_S, window_s=1.0, requests=0, errors=0, sum_ms=0.0, histogram=(), in_flight=0, complete=True
    )
    knowledge = Knowledge()
    knowledge.saw(pod.app, pod.edition, observed, [pod], GOAL, None, NOW_S)
    return knowledge.of(pod.app, pod.edition).memory.recent[-1].serving


def test_a_server_serves_for_the_plan_for_what_is_learned_and_for_what_is_shown() -> None:
    for pod in pods():
        seen = {
            "the plan": not pod.finished and state(pod, SET) is ServerState.SERVING,
            "what is learned": learned(pod) == 1,
            "its CPU": _cpu_cores([pod], {(pod.namespace, pod.name): 1.0}) == 1.0,
            "demos and rollouts": count([pod], 1).ready == 1,
            "the page of an app": _state(pod)[0] == "serving",
        }
        assert set(seen.values()) == {pod.serving}, f"{pod}: {seen}"


@pytest.mark.parametrize(("until", "paused"), [
    pytest.param(None, False, id="never"),
    pytest.param("2033-05-18T03:33:21Z", True, id="until in a second"),
    pytest.param("2033-05-18T03:33:20Z", False, id="until now: it has ended"),
])  # fmt: skip
def test_an_app_is_paused_for_the_plan_for_drains_and_in_its_status(until: str | None, paused: bool) -> None:
    found: Any = app(**({"paused": {"until": until}} if until else {}))
    seen = record(found, holdings(POD))
    view = app_view(seen, Knowledge(), {}, NOW_S)
    assert view.paused(NOW_S) is paused
    (verdict,) = of_apps(plan(Snapshot(apps=(view,)), NOW_S))
    assert is_paused(found, NOW_S) is paused
    assert (verdict.because.reason is Reason.PAUSED) is paused
    told = status(seen, view, (), NOW_S)["conditions"]
    assert [c["status"] for c in told if c["type"] == "Paused"] == [str(paused)]
