"""Small objects for tests of the decisions that the kube layer makes without the API server."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from millpond.control.learn.knowledge import Knowledge
from millpond.control.observe.objects import Pod, ReplicaSet, RetireIntent
from millpond.control.observe.world import Holdings
from millpond.control.report import status as report
from millpond.control.resolve.candidates import Candidate, Problem, ValidApp
from millpond.control.resolve.record import A, RecordOf, observed
from millpond.control.routing import routes
from millpond.control.snapshot import apps
from millpond.router.config import AppRoutes
from millpond_policies.world.actions import Verdict
from millpond_policies.world.model import App

POD = Pod(
    namespace="shop",
    name="cart-v1-a",
    uid="uid-a",
    app="shop/cart",
    edition="v1",
    owner_uid="rs-v1",
    node="node-1",
    address="127.9.0.1",
    phase="Running",
    created_s=1000.0,
    started=True,
    deleting=False,
    containers_ready=True,
    ready=True,
    gate=True,
    gate_since_s=1001.0,
    retire=None,
    deletion_cost=None,
)

SET = ReplicaSet(
    namespace="shop",
    name="cart-v1",
    uid="rs-v1",
    resource_version="7",
    app="shop/cart",
    edition="v1",
    owner_uid="ed-v1",
    replicas=2,
    generation=1,
    observed_generation=1,
    status_replicas=2,
    ready_replicas=1,
    victim_uid=None,
    deleting=False,
)


def sibling(letter: str, **changes: Any) -> Pod:
    return replace(POD, name=f"cart-v1-{letter}", uid=f"uid-{letter}", **changes)


def retiring(deadline_s: float = 2000.0, **changes: Any) -> Pod:
    intent = RetireIntent(uid="uid-a", since_s=1500.0, deadline_s=deadline_s, reason="LoadFell")
    return replace(POD, **{"gate": False, "ready": False, "retire": intent, **changes})


def app(**spec: Any) -> ValidApp:
    from millpond.api.kinds import dynamicpool, elasticapp, slapolicy

    raw = {
        "metadata": {
            "namespace": "shop",
            "name": "cart",
            "uid": "app-uid",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "pool": "default",
            "sla": {"policy": "gold"},
            "servers": {"min": 1, "max": 4},
            "edition": "v1",
            "template": {"spec": {"containers": [{"name": "app", "image": "x"}]}},
            "port": 8080,
            "routes": [{"host": "cart.test"}],
            **spec,
        },
    }
    policy = {
        "metadata": {"name": "gold"},
        "spec": {"goal": {"type": "averageResponseTime", "target": "300ms"}},
    }
    pool = {"metadata": {"name": "default"}, "spec": {"nodeSelector": {"millpond.dev/pool": "default"}}}
    return ValidApp(
        key="shop/cart",
        raw=raw,
        spec=elasticapp.parse(raw),
        policy=slapolicy.parse(policy),
        pool=dynamicpool.parse(pool),
    )


def edition(name: str = "v1", state: str | None = "Active", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": f"cart-{name}", "uid": f"ed-{name}"},
        "spec": {"app": "cart", "edition": name, "template": {}, "templateHash": "x"},
        "status": {**({"state": state} if state else {}), **status},
    }


def holdings(*pods: Pod, sets: dict[str, ReplicaSet] | None = None, **editions: Any) -> Holdings:
    return Holdings(editions=editions or {"v1": edition()}, sets=sets or {"v1": SET}, pods=list(pods))


def record(
    app: A, held: Holdings | None = None, now_s: float = 2000.0, problem: Problem | None = None
) -> RecordOf[A]:
    return observed(app, held or Holdings(), now_s, problem)


def status(
    app: Candidate,
    held: Holdings | None,
    view: App | None,
    problem: Problem | None,
    verdicts: Iterable[Verdict],
    now_s: float,
    *more: Any,
) -> dict[str, Any]:
    return report.status(record(app, held, now_s, problem), view, verdicts, now_s, *more)


def app_routes(app: Candidate, held: Holdings) -> AppRoutes | None:
    return routes.app_routes(record(app, held))


def app_view(
    app: ValidApp, held: Holdings, knowledge: Knowledge, in_flight: apps.InFlight, now_s: float
) -> App:
    return apps.app_view(record(app, held, now_s), knowledge, in_flight, now_s)
