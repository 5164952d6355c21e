"""A fault of one app: a condition with an id, the traceback in the log once, a count, and routes that stay."""

import logging
from typing import Any

import pytest

from millpond.control import cycle
from millpond.control.act.editions import Editions
from millpond.control.guard.faults import PER_APP, SHOWN_S, SILENCE_S, Faults
from millpond.control.learn.learner import Learner
from millpond.control.report import writer
from millpond.control.report.metrics import Metrics
from millpond.control.resolve.candidates import Resolver
from millpond.control.routing import publisher

from kube.tenants import NOISY, QUIET, Tenants, cluster

HERE = f"{NOISY}/web"


def raises_for_noisy(original: Any, key: Any) -> Any:
    def broken(*args: Any, **kwargs: Any) -> Any:
        if key(*args) == HERE:
            raise ZeroDivisionError("a figure of 0.0")
        return original(*args, **kwargs)

    return broken


def _plan_key(seen: Any, now_s: float) -> str:
    return HERE if any(app.key == HERE for app in seen.apps) else ""


STEPS: dict[str, tuple[Any, str, Any]] = {
    "resolve": (Resolver, "_as_before", lambda self, key, *_: key),
    "observe": (cycle, "observed", lambda app, *_: app.key),
    "learn": (Learner, "_learn", lambda self, record, *_: record.key),
    "edition": (Editions, "look", lambda self, record: record.key),
    "routes": (publisher, "app_routes", lambda record: record.key),
    "gate": (publisher, "wanted_gate", lambda pod, *_: pod.app),
    "snapshot": (cycle, "viewed", lambda record, *_: record.key),
    "plan": (cycle, "plan", _plan_key),
    "status": (writer, "status", lambda record, *_: record.key),
}


@pytest.fixture
async def settled() -> Tenants:
    tenants = Tenants()
    tenants.load(cluster(QUIET, NOISY))
    for _ in range(4):
        await tenants.once()
    tenants.memory.writes.clear()
    return tenants


def error_of(tenants: Tenants, namespace: str = NOISY) -> dict[str, Any] | None:
    found = tenants.world.apps.store.items()[f"{namespace}/web"]["status"]["conditions"]
    return next((c for c in found if c["type"] == "InternalError"), None)


@pytest.mark.parametrize("step", STEPS)
async def test_an_app_that_fails_in_a_step_keeps_its_routes_and_says_so_and_the_others_go_on(
    step: str, settled: Tenants, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    where, name, key = STEPS[step]
    routes = dict(settled.routers.apps)
    assert routes.keys() == {f"{QUIET}/web", HERE}
    monkeypatch.setattr(where, name, raises_for_noisy(getattr(where, name), key))
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            await settled.once()
    assert settled.routers.apps == routes
    told = error_of(settled)
    assert told is not None
    assert (told["status"], told["reason"]) == ("True", "InternalError")
    (line,) = [r.getMessage() for r in caplog.records if "internal error" in r.getMessage()]
    assert line.startswith(f"{HERE}: {step}: ")
    assert "a figure of 0.0" in line
    assert settled.faults.shown[HERE].id in line
    assert settled.faults.shown[HERE].id in told["message"]
    assert error_of(settled, QUIET) is None
    assert f"{QUIET}/web" in settled.cycle.apps
    assert len(settled.memory.writes) == 1, "what lasts is written once"

    monkeypatch.undo()
    settled.faults._clock = lambda base=settled.faults._clock: base() + SHOWN_S  # type: ignore[misc]
    for _ in range(2):
        await settled.once()
    told = error_of(settled)
    assert told is not None
    assert (told["status"], told["reason"]) == ("False", "NoError")


async def test_the_servers_of_an_app_whose_routes_fail_are_those_of_now(
    settled: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "app_routes", raises_for_noisy(publisher.app_routes, STEPS["routes"][2]))
    moved = dict(settled.memory.objects)
    pod = moved[f"pods/{NOISY}/web-v1-a"]
    moved[f"pods/{NOISY}/web-v1-a"] = {**pod, "status": {**pod["status"], "podIP": "10.9.9.9"}}
    settled.memory.version += 1
    settled.load(moved)
    await settled.once()
    (edition,) = settled.routers.apps[HERE].editions
    assert "10.9.9.9" in {e.address for e in edition.endpoints}
    assert len(edition.endpoints) == 2


def test_the_log_and_the_metrics_stay_small_however_much_one_app_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, now = Metrics(), [0.0]
    faults = Faults(metrics.failed, clock=lambda: now[0])
    kinds = [ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError, AttributeError]
    for number in range(600):
        faults.begin([HERE])
        now[0] += 0.5
        faults.failed(HERE, "learn", kinds[number % len(kinds)]("x" * 100_000))
    assert len(caplog.records) == PER_APP
    assert sum(len(r.getMessage()) for r in caplog.records) < PER_APP * 9_000
    assert 'millpond_internal_errors_total{step="learn"} 600.0' in metrics.text().decode()
    assert len({faults.shown[HERE].id}) == 1
    now[0] += SILENCE_S
    faults.failed(HERE, "learn", ValueError())
    assert len(caplog.records) == PER_APP + 1
    faults.begin([])
    assert not faults.shown
