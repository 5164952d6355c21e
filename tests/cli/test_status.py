"""`millpond rollout status`: exit codes, waiting, what it prints; against the real API server."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from millpond.clock import steady_s
from millpond.local.cluster.embedded import Cluster

from cli.conftest import Account, Run, Start
from cli.staged import Staged, progress, template
from kube.fault_proxy import FaultProxy, Hang, Reset, Seen, Status
from waiting import eventually

pytestmark = pytest.mark.integration
WAIT = ("status", "web", "--wait", "--timeout", "60s")


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Any:
    with FaultProxy(cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


def watches(seen: Seen) -> bool:
    return seen.watch and "elasticapps" in seen.path


@pytest.mark.parametrize(
    ("phase", "serves", "rollout", "code"),
    [
        ("Completed", "v2", {"step": 3, "weight": 100}, 0),
        ("RolledBack", "v1", {"message": "too slow"}, 1),
        ("Aborted", "v1", {}, 1),
        ("Progressing", "v1", {"needs": "promote"}, 3),
        ("Paused", "v1", {"needs": "resume"}, 3),
        ("Waiting", "v1", {"step": 0, "until": "2030-01-01T00:00:00Z"}, 3),
        ("Progressing", "v1", {}, 124),
        ("RollingBack", "v1", {}, 124),
    ],
)
def test_the_exit_code_says_how_it_stands(
    run: Run, staged: Staged, phase: str, serves: str, rollout: dict[str, Any], code: int
) -> None:
    staged.rolling_out()
    staged.tell(progress(phase, **rollout), serves=serves)
    result = run("status", "web", "-o", "json")
    assert result.exit_code == code
    told = json.loads(result.stdout)
    assert (told["edition"], told["from"], told["phase"], told["exitCode"]) == ("v2", "v1", phase, code)


def test_the_first_edition_is_done_when_ready(run: Run, staged: Staged) -> None:
    assert run("status", "web").exit_code == 0
    staged.tell(serves=None, conditions=())
    assert run("status", "web").exit_code == 124


def test_json_is_one_object_even_when_there_is_no_such_app(run: Run, staged: Staged) -> None:
    staged.rolling_out(weight=10)
    told = json.loads(run("status", "web", "-o", "json").stdout)
    assert {"step": 1, "steps": 3, "weight": 10, "reason": "NextStep"}.items() <= told.items()
    missing = run("status", "wep", "-o", "json")
    assert missing.exit_code == 1
    said = json.loads(missing.stdout)
    assert said.keys() == told.keys()
    assert "no ElasticApp 'wep'" in said["message"]
    assert "Error: no ElasticApp 'wep'" in missing.stderr


def test_yaml_and_text(run: Run, staged: Staged) -> None:
    staged.rolling_out(needs="promote", message="waits for promotion")
    assert yaml.safe_load(run("status", "web", "-o", "yaml").stdout)["needs"] == "promote"
    text = run("status", "web").output
    for part in (
        "v1 → v2: waits for a person",
        "phase    Progressing (Canary)",
        "step     1 of 3, 10 % of new sessions",
        "because  NextStep: waits for promotion",
        f"to do    millpond rollout promote web -n {staged.namespace}",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--timeout", "5m"), "--timeout makes sense only with --wait"),
        (("--wait-for-people",), "--wait-for-people makes sense only with --wait"),
        (("--wait", "--timeout", "soon"), '"soon" is not a duration'),
    ],
)
def test_a_wrong_call_is_a_usage_error(run: Run, args: tuple[str, ...], says: str) -> None:
    result = run("status", "web", *args)
    assert result.exit_code == 2
    assert says in result.output


def test_wait_ends_with_the_rollout_and_tells_of_changes_only(begin: Start, staged: Staged) -> None:
    staged.rolling_out()
    waiting = begin(*WAIT)
    waiting.says("Progressing  step 1 of 3, 10 %")
    staged.tell(progress("Progressing", step=2, weight=50, message="step 2 of 3"))
    waiting.says("step 2 of 3, 50 %")
    staged.tell(progress("Progressing", step=2, weight=50, message="step 2 of 3"), conditions=())  # no news
    staged.tell(progress("Completed", step=3, weight=100, message="took over"), serves="v2")
    assert waiting.code() == 0
    lines = [line for line in waiting.out.splitlines() if line.startswith("20")]
    assert [line.split("  ")[3:4] for line in lines[1:]] == [["Progressing"], ["Progressing"], ["Completed"]]
    assert "\x1b" not in waiting.out, "no colours in a log, whatever CI promises"
    assert "v1 → v2: done" in waiting.out


def test_wait_never_answers_from_a_status_older_than_the_object(begin: Start, staged: Staged) -> None:
    staged.rolling_out()
    staged.tell(progress("Completed"), serves="v2")
    staged.change(edition="v3", template=template("web:3"))
    waiting = begin(*WAIT)
    waiting.says("NotSeenYet")
    staged.tell(progress("Completed"), serves="v2")  # seen, but it is still about v2
    waiting.says("the operator has not begun with it; v2 serves")
    assert waiting.running
    staged.tell(progress("RolledBack", **{"edition": "v3", "from": "v2"}), serves="v2")
    assert waiting.code() == 1


def test_wait_with_json_keeps_stdout_for_the_answer(begin: Start, staged: Staged) -> None:
    staged.rolling_out()
    waiting = begin(*WAIT, "-o", "json")
    waiting.says("step 1 of 3")
    staged.tell(progress("Aborted", message="somebody aborted it"))
    assert waiting.code() == 1
    assert json.loads(waiting.out)["phase"] == "Aborted"
    assert "step 1 of 3" in waiting.err


def test_a_person_ends_the_wait_unless_people_are_waited_for(begin: Start, staged: Staged) -> None:
    staged.rolling_out(needs="promote")
    assert begin(*WAIT).code() == 3
    patient = begin(*WAIT, "--wait-for-people")
    patient.says(f"millpond rollout promote web -n {staged.namespace}")
    staged.tell(progress("Progressing", step=2, weight=50))
    patient.says("step 2 of 3")
    assert patient.running
    staged.tell(progress("Completed", step=3, weight=100), serves="v2")
    assert patient.code() == 0


def test_after_an_approval_it_waits_for_the_operator(
    begin: Start, staged: Staged, run: Run, account: Account
) -> None:
    staged.rolling_out("Waiting", step=0, weight=0, needs="approve", reason="WaitsForApproval")
    staged.keep("v2", template("web:2"), state="Validating")
    staged.change(rollout={"major": True})
    staged.tell(staged.object["status"]["rollout"])
    assert run("status", "web").exit_code == 3
    approver = account("ann", "view", "millpond-approver")
    told = ("approve", "web", "--reason", "reviewed")
    eventually(lambda: run(*told, kubeconfig=approver).exit_code == 0, 20, "ann's rights are in force")
    waiting = begin(*WAIT)
    waiting.says("it is approved; the operator has not seen that yet")
    staged.tell(progress("Completed", step=3, weight=100), serves="v2")
    assert waiting.code() == 0


def test_when_the_time_is_up_it_is_124(begin: Start, staged: Staged) -> None:
    staged.rolling_out()
    waiting = begin("status", "web", "--wait", "--timeout", "2s", "-o", "json")
    assert waiting.code() == 124
    told = json.loads(waiting.out)
    assert (told["exitCode"], told["phase"]) == (124, "Progressing")
    assert told["message"] == "not done within 2 s: step 1 of 3"


def test_when_the_time_is_up_while_a_person_is_waited_for_it_is_124(begin: Start, staged: Staged) -> None:
    staged.rolling_out(needs="promote")
    assert begin("status", "web", "--wait", "--timeout", "1s", "--wait-for-people").code() == 124


def test_a_broken_watch_is_taken_up_again(begin: Start, staged: Staged, proxy: FaultProxy) -> None:
    staged.rolling_out()
    proxy.inject(watches, Reset(), times=1)
    proxy.inject(watches, Status(410), times=1)
    proxy.inject(watches, Status(500), times=1)
    waiting = begin(*WAIT, kubeconfig=proxy.kubeconfig)
    eventually(lambda: len([s for s in proxy.seen if watches(s)]) >= 4, 30, "it watches for the fourth time")
    staged.tell(progress("Completed", step=3, weight=100), serves="v2")
    assert waiting.code() == 0


@pytest.mark.parametrize("fault", [Reset(), Status(503), Status(404), Status(403)], ids=str)
def test_an_api_server_that_starts_anew_is_waited_for(
    begin: Start, staged: Staged, proxy: FaultProxy, fault: Any
) -> None:
    """While it starts, it refuses, is not ready, knows no custom resources, or knows no rights yet."""
    staged.rolling_out()
    proxy.rewrite_query(lambda seen: {**seen.query, "timeoutSeconds": "1"} if seen.watch else seen.query)
    waiting = begin(*WAIT, kubeconfig=proxy.kubeconfig)
    eventually(lambda: any(map(watches, proxy.seen)), 30, "it watches")
    away = proxy.inject(lambda seen: True, fault)
    waiting.says("no news: ")
    staged.tell(progress("RolledBack", message="too slow"))
    assert waiting.running
    away.lift()
    assert waiting.code() == 1
    assert "too slow" in waiting.out


def test_a_change_is_told_at_once_and_not_asked_for(begin: Start, staged: Staged, proxy: FaultProxy) -> None:
    staged.rolling_out()
    waiting = begin(*WAIT, kubeconfig=proxy.kubeconfig)
    eventually(lambda: any(map(watches, proxy.seen)), 30, "it watches")
    asked = len(proxy.seen)
    staged.tell(progress("Progressing", step=2, weight=50))
    waiting.says("step 2 of 3")
    staged.tell(progress("Completed", step=3, weight=100), serves="v2")
    assert waiting.code() == 0
    assert len(proxy.seen) == asked


def test_the_timeout_holds_while_the_api_server_hangs(
    begin: Start, staged: Staged, proxy: FaultProxy
) -> None:
    staged.rolling_out()
    proxy.inject(lambda seen: True, Hang())
    waiting = begin("status", "web", "--wait", "--timeout", "2s", "-o", "json", kubeconfig=proxy.kubeconfig)
    waiting.says("the API server has not answered yet")
    began_s = steady_s()
    assert waiting.code() == 124
    assert steady_s() - began_s < 10
    assert "the API server has not answered yet" in json.loads(waiting.out)["message"]


def test_the_timeout_holds_while_the_own_disk_hangs(begin: Start, staged: Staged, tmp_path: Path) -> None:
    token, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    os.mkfifo(token)
    entry = {"name": "x", "cluster": {"server": "http://127.0.0.1:1"}, "user": {"tokenFile": str(token)}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    config = {"clusters": [entry], "users": [entry], "contexts": [context], "current-context": "x"}
    kubeconfig.write_text(yaml.safe_dump(config))
    waiting = begin("status", "web", "--wait", "--timeout", "1s", "-o", "json", kubeconfig=kubeconfig)
    assert waiting.code() == 124
    assert json.loads(waiting.out)["exitCode"] == 124


def test_an_api_server_that_is_away_at_first_is_waited_for(
    begin: Start, staged: Staged, proxy: FaultProxy
) -> None:
    staged.rolling_out("Completed", step=3, weight=100)
    staged.tell(staged.object["status"]["rollout"], serves="v2")
    away = proxy.inject(lambda seen: True, Reset())
    waiting = begin(*WAIT, kubeconfig=proxy.kubeconfig)
    waiting.says("no news: ")
    away.lift()
    assert waiting.code() == 0


def test_an_app_that_is_deleted_ends_the_wait(begin: Start, staged: Staged) -> None:
    staged.rolling_out()
    waiting = begin(*WAIT)
    waiting.says("step 1 of 3")
    staged.delete()
    assert waiting.code() == 1
    assert "ElasticApp 'web' was deleted" in waiting.err


def test_ctrl_c_is_neither_success_nor_failure(begin: Start, staged: Staged) -> None:
    staged.rolling_out()
    waiting = begin(*WAIT)
    waiting.says("step 1 of 3")
    waiting.interrupt()
    assert waiting.code() == 130
    assert "the rollout goes on by itself" in waiting.err


def test_on_a_terminal_it_is_a_live_view(begin: Start, staged: Staged, cluster: Cluster) -> None:
    staged.rolling_out()
    labels = "millpond.dev/app=web,millpond.dev/edition=v2"
    cluster.kubectl(
        "run", "web-v2-a", "--image=web:2", f"--namespace={staged.namespace}", f"--labels={labels}"
    )
    waiting = begin(*WAIT, terminal=True)
    waiting.says("1 of 3, 10 % of new sessions, for ")
    waiting.says("0 ready, 1 starting, 0 draining")
    assert "Progressing (Canary)" in waiting.out
    staged.tell(progress("Completed", step=3, weight=100), serves="v2")
    assert waiting.code() == 0
    assert "v1 → v2: done" in waiting.out
