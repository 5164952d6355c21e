"""What an app's status says, and that it says nothing new when nothing is new."""

from dataclasses import replace

import pytest

from millpond.control.observe.grants import Grants
from millpond.control.observe.objects import Pod, RetireIntent
from millpond.control.obstacles.obstacles import Obstacle
from millpond.control.resolve.candidates import Contest, Problem, Resolver
from millpond.control.resolve.claims import Claim
from millpond.control.resolve.hosts import HostBook
from millpond.control.routing.gates import wanted_gate
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Because, Grow, Hold
from millpond_policies.world.model import App, EditionView, Goal, GoalKind, Server, ServerState

from kube.builders import POD, app, app_routes, holdings, retiring, sibling, status

NOW_S = 1_800_000_000.0
CONTEST = Contest(field="spec.routes[0]", claim=Claim("cart.test"), reason=Reason.HOST_TAKEN, why="…")
NO_ROOM = Obstacle(reason=Reason.SERVERS_UNSCHEDULABLE, text="no node takes it: Insufficient cpu")


def view(*states: ServerState, minimum: int = 1) -> App:
    servers = tuple(
        Server(uid=str(i), name=f"s{i}", edition="v1", state=state, created_s=0.0)
        for i, state in enumerate(states)
    )
    return App(
        key="shop/cart",
        edition="v1",
        active="v1",
        goal=Goal(kind=GoalKind.AVERAGE, target_ms=300.0),
        min_servers=minimum,
        max_servers=4,
        editions=(EditionView(name="v1", ordered=len(states)),),
        servers=servers,
    )


def because(reason: Reason, **more) -> Because:
    return Because(reason=reason, servers=1, wanted=2, **more)


def conditions(found) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def test_the_same_facts_twice_are_the_same_status():
    candidate = app()
    first = status(candidate, holdings(POD), view(ServerState.SERVING), None, (), NOW_S)
    again = replace(candidate, raw={**candidate.raw, "status": first})
    hold = Hold(app="shop/cart", edition="v1", because=because(Reason.STEADY))
    assert status(again, holdings(POD), view(ServerState.SERVING), None, (hold,), NOW_S + 60) == first


def test_a_decision_is_recorded_once():
    candidate = app()
    grow = Grow(app="shop/cart", edition="v1", to=2, because=because(Reason.FORECAST_ABOVE_CAPACITY))
    first = status(candidate, holdings(POD), view(ServerState.SERVING), None, (grow,), NOW_S)
    again = replace(candidate, raw={**candidate.raw, "status": first})
    second = status(again, holdings(POD), view(ServerState.SERVING), None, (grow,), NOW_S + 1)
    assert [d["action"] for d in second["decisions"]] == ["Grow"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            status(app(), holdings(), view(), None, (), NOW_S),
            {"Ready": ("False", "NoServerReady")},
            id="no server yet: not ready",
        ),
        pytest.param(
            status(app(), holdings(sibling("b", obstacle=NO_ROOM)), view(), None, (), NOW_S),
            {"Ready": ("False", "ServersUnschedulable")},
            id="no room on any node: said so",
        ),
        pytest.param(
            status(app(), holdings(POD), view(ServerState.SERVING), None, (), NOW_S),
            {
                "Ready": ("True", "AsExpected"),
                "Paused": ("False", "NotPaused"),
                "Limited": ("False", "NotLimited"),
            },
            id="as many as the floor serve: ready",
        ),
        pytest.param(
            status(
                app(paused={"until": "2100-01-01T00:00:00Z", "reason": "stock-taking"}),
                holdings(POD),
                view(ServerState.SERVING),
                None,
                (),
                NOW_S,
            ),
            {"Paused": ("True", "Paused")},
            id="paused until later",
        ),
        pytest.param(
            status(app(paused={"until": "2001-01-01T00:00:00Z"}), holdings(), view(), None, (), NOW_S),
            {"Paused": ("False", "PauseExpired")},
            id="a pause that is over is over",
        ),
        pytest.param(
            status(replace(app(), contested=(CONTEST,)), None, None, None, (), NOW_S),
            {"Contested": ("True", "HostTaken")},
            id="another app holds the host",
        ),
        pytest.param(
            status(
                app(), None, None, Problem(reason=Reason.POOL_NOT_FOUND, message="spec.pool: …"), (), NOW_S
            ),
            {"Ready": ("False", "PoolNotFound")},
            id="a problem in the way is why it is not ready",
        ),
        pytest.param(
            status(
                app(),
                holdings(POD),
                view(ServerState.SERVING),
                None,
                (Hold(app="shop/cart", edition="v1", because=because(Reason.AT_CEILING)),),
                NOW_S,
            ),
            {"Limited": ("True", "AtCeiling")},
            id="at the ceiling and more needed: limited",
        ),
        pytest.param(
            status(app(replicas=5), holdings(POD), view(ServerState.SERVING), None, (), NOW_S),
            {"ReplicasIgnored": ("True", "ReplicasIgnored")},
            id="kubectl scale without mode Manual: said to be ignored",
        ),
    ],
)
def test_conditions(found, expected):
    assert {k: conditions(found).get(k) for k in expected} == expected


@pytest.mark.parametrize(
    ("pod", "confirmed", "gate"),
    [
        pytest.param(replace(POD, gate=None), True, True, id="ready and acknowledged: open"),
        pytest.param(replace(POD, gate=None), False, None, id="not acknowledged yet: wait"),
        pytest.param(POD, False, True if POD.gate is None else None, id="open and not confirmed: left alone"),
        pytest.param(replace(POD, containers_ready=False), True, False, id="containers not ready: close"),
        pytest.param(retiring(gate=True), True, False, id="named as a victim: close"),
        pytest.param(replace(POD, deleting=True), True, None, id="being deleted: no write"),
        pytest.param(replace(POD, gate=None, containers_ready=False), True, None, id="starting: no write"),
    ],
)
def test_gate(pod: Pod, confirmed: bool, gate: bool | None):
    routes = app_routes(app(), holdings(pod))
    assert wanted_gate(pod, routes, confirmed) is gate


def test_victims_drain_and_pods_being_deleted_get_nothing_more_not_even_from_sessions():
    pods = [
        retiring(address="127.9.0.1"),
        sibling("b", address="127.9.0.2", deleting=True),
        sibling("c", address="127.9.0.3"),
        sibling("d", address="127.9.0.4", disrupted=True),
    ]
    routes = app_routes(app(), holdings(*pods))
    assert [(e.address, e.draining) for e in routes.editions[0].endpoints] == [
        ("127.9.0.1", True),
        ("127.9.0.3", False),
        ("127.9.0.4", True),
    ]


def test_draining_servers_are_named_with_their_deadlines_and_without_moving_figures():
    intents = [
        RetireIntent(uid="0", since_s=0.0, deadline_s=60.0, reason="LoadFell"),
        RetireIntent(uid="1", since_s=0.0, deadline_s=60.0, streams_deadline_s=3600.0, reason="LoadFell"),
    ]
    pods = [retiring(uid=intent.uid, retire=intent) for intent in intents]
    both = view(ServerState.DRAINING, ServerState.DRAINING)
    found = status(app(), holdings(*pods), both, None, (), NOW_S)
    draining = next(c for c in found["conditions"] if c["type"] == "Draining")
    assert draining["message"] == (
        "s0 finishes its requests (until 1970-01-01T00:01:00Z); "
        "s1 finishes its requests (until 1970-01-01T00:01:00Z, streams 1970-01-01T01:00:00Z)"
    )


def raw_app(name: str, created: str, host: str = "cart.test", **spec):
    base = app(**spec).raw
    meta = {
        "namespace": "shop",
        "name": name,
        "uid": name,
        "creationTimestamp": created,
        "resourceVersion": "1",
    }
    return {**base, "metadata": meta, "spec": {**base["spec"], "routes": [{"host": host}]}}


POLICY = {
    "metadata": {"name": "gold", "uid": "p", "resourceVersion": "1"},
    "spec": {"goal": {"type": "averageResponseTime", "target": "300ms"}},
}
POOL = {"metadata": {"name": "default", "uid": "d", "resourceVersion": "1"}, "spec": {"nodeSelector": {}}}


def test_of_two_apps_that_claim_a_host_the_older_keeps_it():
    apps = {
        "shop/young": raw_app("young", "2026-01-02T00:00:00Z"),
        "shop/old": raw_app("old", "2026-01-01T00:00:00Z"),
    }
    found = HostBook().settle(Resolver().resolve(apps, {"gold": POLICY}, {"default": POOL}), Grants())
    assert found["shop/old"].contested == ()
    assert [contest.claim for contest in found["shop/young"].contested] == [Claim("cart.test")]


@pytest.mark.parametrize(
    ("policies", "pools", "reason", "says"),
    [
        pytest.param({}, {"default": POOL}, Reason.POLICY_NOT_FOUND, "'gold'", id="no such policy"),
        pytest.param({"gold": POLICY}, {}, Reason.POOL_NOT_FOUND, "'default'", id="no such pool"),
        pytest.param(
            {"gold": {**POLICY, "spec": {**POLICY["spec"], "allowedNamespaces": ["bank"]}}},
            {"default": POOL},
            Reason.POLICY_NOT_ALLOWED,
            "'shop'",
            id="a policy that this namespace may not use",
        ),
        pytest.param(
            {"gold": POLICY},
            {"default": {**POOL, "spec": {"nodeSelector": {}, "allowedNamespaces": []}}},
            Reason.POOL_NOT_ALLOWED,
            "'shop'",
            id="a pool that nobody may use",
        ),
    ],
)
def test_what_an_app_refers_to_must_be_there_and_allowed(policies, pools, reason, says):
    found = Resolver().resolve({"shop/a": raw_app("a", "2026-01-01T00:00:00Z")}, policies, pools)
    problem = found["shop/a"].problem
    assert problem is not None
    assert problem.reason is reason
    assert says in problem.message


def test_an_object_that_was_stored_before_a_rule_is_refused_with_its_field():
    bad = raw_app("a", "2026-01-01T00:00:00Z", servers={"min": 1, "max": 4})
    bad["spec"]["servers"] = {"min": 5, "max": 3}
    found = Resolver().resolve({"shop/a": bad}, {"gold": POLICY}, {"default": POOL})
    assert found["shop/a"].problem is not None
    assert "spec.servers.min" in found["shop/a"].problem.message
