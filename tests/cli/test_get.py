"""`millpond get`: tables, documents, changes, and errors that name what would be right."""

import json
from collections.abc import Iterator

import pytest
import yaml

from millpond.cli.output import Table, age
from millpond.cli.show import appview
from millpond.kube.client import Object
from millpond.local.cluster.embedded import Cluster

from cli.conftest import Run
from cli.process import Process
from cli.staged import GROWN, READY, Staged, condition, progress

EXCEEDED = condition("SLAMet", "False", "GoalExceeded", "average ≤ 300 ms does not hold")
LIMITED = condition("Limited", "True", "AtCeiling", "spec.servers.max is 4")
ROLLING = condition("RollingOut", "True", "NextStep", "v1 -> v2")


@pytest.fixture
def busy(staged: Staged) -> Staged:
    """The app `web`, about which there is something to say in every column."""
    staged.tell(progress("Progressing"), conditions=(READY, EXCEEDED, LIMITED, ROLLING))
    counts = {"desired": 4, "ready": 3, "starting": 1, "draining": 0}
    staged.add(goal="average ≤ 300 ms", servers=counts, decisions=[GROWN])
    return staged


def cells(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in output.splitlines()]


@pytest.mark.integration
def test_the_table_says_what_people_look_for(call: Run, busy: Staged) -> None:
    Staged(busy.server, "idle").create()
    result = call("get")
    assert result.exit_code == 0, result.output
    heading, idle, web = cells(result.output)
    assert heading == [
        "APP",
        "PHASE",
        "GOAL",
        "RESPONSE",
        "DESIRED",
        "SERVING",
        "MIN",
        "MAX",
        "EDITION",
        "AGE",
    ]
    assert idle[:-1] == ["idle", "NotSeenYet", "–", "–", "–", "–", "1", "4", "v1"]
    assert web[:3] == ["web", "GoalExceeded", "average ≤ 300 ms"]
    assert web[3].startswith("212 ms (")
    assert web[4:-1] == ["4", "3", "1", "4", "v1"]
    wide = dict(zip(*cells(call("get", "app", "web", "-o", "wide").output), strict=True))
    assert (wide["LIMITING"], wide["ROLLOUT"]) == ("AtCeiling", "v1→v2 Progressing 1/3 10%")
    assert (wide["HOST"], wide["DRAINING"], wide["PAUSED UNTIL"]) == ("web.example", "0", "–")
    assert wide["LAST DECISION"].startswith("Grow: ForecastAboveCapacity (")


@pytest.mark.integration
def test_of_all_namespaces_and_as_names(call: Run, staged: Staged) -> None:
    heading, *rows = cells(call("get", "apps", "--all-namespaces").output)
    assert heading[:2] == ["NAMESPACE", "APP"]
    assert [staged.namespace, "web"] in [row[:2] for row in rows]
    assert call("get", "apps", "-o", "name").output == "elasticapp.millpond.dev/web\n"


@pytest.mark.integration
def test_documents_are_the_objects_themselves(call: Run, staged: Staged) -> None:
    told = json.loads(call("get", "eapp", "-o=json").stdout)
    assert (told["kind"], [item["metadata"]["name"] for item in told["items"]]) == ("List", ["web"])
    assert "managedFields" not in told["items"][0]["metadata"]
    one = yaml.safe_load(call("get", "apps/web", "-o", "yaml").stdout)
    assert (one["kind"], one["spec"]["edition"]) == ("ElasticApp", "v1")


@pytest.mark.integration
def test_the_other_kinds(call: Run, staged: Staged, cluster: Cluster) -> None:
    staged.keep("v1", {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}, state="Active")
    assert cells(call("get", "editions").output)[1][:5] == ["web-v1", "web", "v1", "Active", "0"]
    name = staged.namespace
    for made in (
        {"kind": "SLAPolicy", "spec": {"goal": {"type": "averageResponseTime", "target": "300ms"}, "importance": 2}},
        {"kind": "DynamicPool", "spec": {"nodeSelector": {"a": "b"}, "allowedNamespaces": [name]}},
    ):  # fmt: skip
        staged.server.create({"apiVersion": "millpond.dev/v1alpha1", "metadata": {"name": name}, **made})
    try:
        assert cells(call("get", "policy", name).output)[1][:4] == [
            name,
            "average ≤ 300ms",
            "2",
            "production",
        ]
        pool = cells(call("get", "pools", name, "-o", "wide").output)[1]
        assert (pool[:2], pool[-2:]) == ([name, "Dynamic"], ["a=b", name])
    finally:
        cluster.kubectl("delete", "slapolicy,dynamicpool", name)


@pytest.mark.integration
def test_nothing_is_no_failure(call: Run, namespace: str) -> None:
    result = call("get", "apps")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"no apps in namespace '{namespace}'\n"
    assert json.loads(call("get", "apps", "-o", "json").stdout)["items"] == []


@pytest.mark.integration
def test_errors_name_what_would_be_right(call: Run, staged: Staged) -> None:
    kind = call("get", "shop")
    assert kind.exit_code == 2
    assert (
        "unknown kind 'shop'; kinds are: apps, editions, pools, policies (an app: `get app shop`)"
        in kind.output
    )
    name = call("get", "app", "wep")
    assert name.exit_code == 1
    assert f"no ElasticApp 'wep' in namespace '{staged.namespace}' (there: web)" in name.output
    assert call("get", "app", "web", "-A").exit_code == 2
    assert "two names: 'web' and 'shop'" in call("get", "app/web", "shop").output


@pytest.fixture
def watching(cluster: Cluster, namespace: str) -> Iterator[Process]:
    there = (f"--namespace={namespace}", f"--kubeconfig={cluster.kubeconfig}")
    process = Process(["get", "apps", "-w", *there], terminal=True)
    yield process
    process.end()


@pytest.mark.integration
def test_each_change_is_a_line_of_its_own_in_colours_on_a_terminal(staged: Staged, watching: Process) -> None:
    watching.says("\x1b[32mServing")
    staged.add(decisions=[GROWN | {"inputs": {}}])  # which this table does not show
    staged.tell(conditions=(READY, EXCEEDED))
    watching.says("\x1b[31mGoalExceeded")
    staged.delete()
    watching.says(f"elasticapp.millpond.dev/{staged.namespace}/web deleted")
    watching.interrupt()
    assert watching.code() == 130
    assert [line.split()[0] for line in watching.out.splitlines()] == ["APP", "web", "web"]


def app(*conditions: object, **metadata: str) -> Object:
    return {"metadata": metadata, "spec": {}, "status": {"conditions": list(conditions)}}


@pytest.mark.parametrize(
    ("shown", "phase"),
    [
        (app(), "NotSeenYet"),
        (app(READY), "Serving"),
        (app(READY, ROLLING, LIMITED, EXCEEDED), "GoalExceeded"),
        (app(READY, ROLLING, LIMITED), "Limited"),
        (app(READY, ROLLING), "RollingOut"),
        (app(condition("Ready", "False", "NoServerReady"), EXCEEDED), "NoServerReady"),
        (app(READY, deletionTimestamp="2026-01-01T00:00:00Z"), "Deleting"),
    ],
)
def test_the_phase_is_what_matters_most(shown: Object, phase: str) -> None:
    assert appview.phase(shown) == phase


def test_conditions_are_sorted_by_concern() -> None:
    idle = condition("SLAMet", "Unknown", "NoLoad")
    calm = condition("Limited", "False", "NotLimited")
    assert [appview.concern(c) for c in (EXCEEDED, LIMITED, idle, ROLLING, READY, calm)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (330, "5m30s"), (9000, "150m"), (26400, "7h20m"), (108000, "30h"),
     (273600, "3d4h"), (17280000, "200d")],
)  # fmt: skip
def test_ages_are_as_kubectl_says_them(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_rows_that_come_later_stand_under_the_same_columns() -> None:
    table = Table(("a", "b"))
    assert table.lines([["long", "\x1b[32mx\x1b[0m"]]) == ["A      B", "long   \x1b[32mx\x1b[0m"]
    assert table.lines([["s", "y"]]) == ["s      y"]
