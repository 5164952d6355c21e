"""`millpond status` and `explain`: one page about one app, for people and for programs."""

import json

import pytest
import yaml

from millpond.api.names import GATE
from millpond.cli.show.servers import servers
from millpond.clock import rfc3339
from millpond.control.observe.objects import RetireIntent
from millpond.local.cluster.embedded import Cluster

from api.server import Manifest
from cli.conftest import Account, Run
from cli.staged import GROWN, READY, Staged, condition, progress
from waiting import eventually

DEADLINE_S = 1_900_000_000.0


def server(name: str, *true: str, node: str | None = "node-1", **metadata: object) -> Manifest:
    """A pod as the API server returns it, with these conditions."""
    conditions = [{"type": kind, "status": "True"} for kind in true]
    labels = {"millpond.dev/app": "web", "millpond.dev/edition": "v1"}
    meta = {"name": name, "namespace": "shop", "uid": name, "labels": labels, **metadata}
    return {"metadata": meta, "spec": {"nodeName": node}, "status": {"conditions": conditions}}


def intent(uid: str) -> Manifest:
    return {
        "millpond.dev/retire": RetireIntent(
            uid=uid, since_s=0, deadline_s=DEADLINE_S, reason="LoadFell"
        ).dump()
    }


def test_each_server_says_what_it_does() -> None:
    pulling = server("pulling")
    pulling["status"]["containerStatuses"] = [
        {"name": "web", "image": "web:1", "state": {"waiting": {"reason": "ErrImageNeverPull"}}}
    ]
    found = servers(
        [
            server("ending", deletionTimestamp=rfc3339(DEADLINE_S)),
            server("draining", "Ready", annotations=intent("draining")),
            server("unrouted", "ContainersReady"),
            server("new", node=None),
            pulling,
            server("up", "ContainersReady", GATE, "Ready"),
        ]
    )
    assert [(s.name, s.state, s.until, s.why) for s in found] == [
        ("up", "serving", None, None),
        ("new", "starting", None, "not on a node yet"),
        (
            "pulling",
            "starting",
            None,
            "image 'web:1' of container web cannot be pulled: imagePullPolicy is Never, and the node does not have it",
        ),
        ("unrouted", "starting", None, "the routers do not send to it yet"),
        ("draining", "draining", rfc3339(DEADLINE_S), "LoadFell"),
        ("ending", "ending", rfc3339(DEADLINE_S), None),
    ]


@pytest.fixture
def shop(staged: Staged, cluster: Cluster) -> Staged:
    """`web` misses its goal in the middle of a rollout that waits for somebody; one server drains."""
    exceeded = condition("SLAMet", "False", "GoalExceeded", "average ≤ 300 ms does not hold")
    calm = condition("Limited", "False", "NotLimited")
    staged.rolling_out(needs="promote")
    staged.tell(progress("Progressing", needs="promote"), conditions=(READY, calm, exceeded))
    older = [GROWN | {"reason": f"Reason{i}"} for i in range(4)]
    counts = {"desired": 4, "ready": 3, "starting": 0, "draining": 1}
    staged.add(goal="average ≤ 300 ms", servers=counts, decisions=[GROWN, *older])
    labels = {"millpond.dev/app": "web", "millpond.dev/edition": "v1"}
    spec = {"schedulerName": "nobody", "containers": [{"name": "web", "image": "web:1"}]}
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-v1-a", "labels": labels},
        "spec": spec,
    }
    there = f"--namespace={staged.namespace}"
    cluster.kubectl("create", "-f", "-", there, stdin=json.dumps(made))
    uid = cluster.kubectl("get", "pod", "web-v1-a", there, "-o", "jsonpath={.metadata.uid}")
    retire = intent(uid)["millpond.dev/retire"]
    cluster.kubectl("annotate", "pod", "web-v1-a", there, f"millpond.dev/retire={retire}")
    return staged


@pytest.mark.integration
def test_the_page_says_what_is_wrong_first(call: Run, shop: Staged) -> None:
    result = call("status", "web")
    assert result.exit_code == 0, result.output
    for part in (
        f"{shop.namespace}/web  GoalExceeded",
        "goal      average ≤ 300 ms: NOT met (GoalExceeded)",
        "Servers: 4 desired, 3 serving, 0 starting, 1 draining (min 1, max 4)",
        f"draining until {rfc3339(DEADLINE_S)}: LoadFell",
        "Rollout: v1→v2 Progressing",
        f"to do     millpond rollout promote web -n {shop.namespace}",
        "Grow       ForecastAboveCapacity, AtCeiling   order 2 more: 2 → 4 servers",
    ):
        assert part in result.output
    kinds = [line.split()[0] for line in result.output.splitlines() if line.startswith("  ")]
    assert kinds.index("SLAMet") < kinds.index("Ready")
    assert "Reason1" in result.output
    assert "Reason2" not in result.output
    assert "\x1b" not in result.output


@pytest.mark.integration
def test_the_same_for_programs(call: Run, shop: Staged) -> None:
    told = json.loads(call("status", "web", "-o", "json").stdout)
    assert told == yaml.safe_load(call("status", "web", "-o", "yaml").stdout)
    assert told["goal"] == {"says": "average ≤ 300 ms", "met": False, "reason": "GoalExceeded"}
    assert told["servers"]["list"][0]["until"] == rfc3339(DEADLINE_S)
    assert (told["rollout"]["from"], told["rollout"]["needs"]) == ("v1", "promote")
    assert (told["conditions"][0]["type"], len(told["decisions"])) == ("SLAMet", 3)


@pytest.mark.integration
def test_whoever_may_not_see_pods_gets_the_rest(
    call: Run, shop: Staged, account: Account, cluster: Cluster
) -> None:
    kubeconfig, there = account("guest"), f"--namespace={shop.namespace}"
    cluster.kubectl("create", "role", "look", "--verb=get", "--resource=elasticapps.millpond.dev", there)
    cluster.kubectl(
        "create", "rolebinding", "look", "--role=look", f"--serviceaccount={shop.namespace}:guest", there
    )
    eventually(
        lambda: call("status", "web", kubeconfig=kubeconfig).exit_code == 0, 20, "its rights are in force"
    )
    assert "it takes the right to list pods" in call("status", "web", kubeconfig=kubeconfig).output
    unknown = call("status", "wep", kubeconfig=kubeconfig)
    assert "(there: those you may not list)" in unknown.output


@pytest.mark.integration
def test_explain_says_where_the_figures_come_from(call: Run, shop: Staged) -> None:
    text = call("explain", "web").output
    for part in (
        "the routers count every request and report each second",
        "status.learned of Edition web-v1",
        "SLAPolicy gold",
        "rate_rps       requests per second over the last 5 s",
    ):
        assert part in text
    shop.change(sla={"source": "prometheus", "prometheus": {"preset": "istio", "labels": {"app": "web"}}})
    told = yaml.safe_load(call("explain", "web", "-o", "yaml").stdout)
    assert told["sources"]["responses"].startswith("Prometheus, preset istio, series with app=web")
    assert told["decisions"][0]["reason"] == "ForecastAboveCapacity"
