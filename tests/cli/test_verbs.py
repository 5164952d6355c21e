"""Every verb of `millpond rollout` against the real API server: what it writes, what it says, what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from millpond.cli.main import main

from cli.conftest import Account, Run
from cli.staged import Staged, manifest, template
from waiting import eventually

pytestmark = pytest.mark.integration


def test_start_writes_edition_template_and_strategy_at_once(run: Run, staged: Staged) -> None:
    before = staged.object["metadata"]["generation"]
    result = run("start", "web", "--edition", "v2", "--image", "web:2", "--strategy", "Canary")
    assert result.exit_code == 0, result.output
    assert result.output == f"{staged.namespace}/web: v2 follows v1\n"
    assert staged.spec["edition"] == "v2"
    assert staged.spec["template"] == template("web:2")
    assert staged.rollout["strategy"] == "Canary"
    assert staged.object["metadata"]["generation"] == before + 1


def test_start_names_the_container_when_there_are_several(run: Run, staged: Staged) -> None:
    staged.change(edition="v2", template=template("web:1", "log"))
    vague = run("start", "web", "--edition", "v3", "--image", "web:3")
    assert vague.exit_code == 2
    assert "which container? Write web=web:3" in vague.output
    wrong = run("start", "web", "--edition", "v3", "--image", "wep=web:3")
    assert wrong.exit_code == 2
    assert "there is no container 'wep'; there are: web, log" in wrong.output
    right = run("start", "web", "--edition", "v3", "--image", "web=web:3", "--image", "log=log:9")
    assert right.exit_code == 0, right.output
    images = [c["image"] for c in staged.spec["template"]["spec"]["containers"]]
    assert images == ["web:3", "log:9"]


def test_start_replaces_the_whole_template_by_a_file(run: Run, staged: Staged, tmp_path: Path) -> None:
    staged.change(edition="v2", template={**template("web:1", "log"), "metadata": {"labels": {"a": "b"}}})
    file = tmp_path / "template.yaml"
    file.write_text(json.dumps(template("web:3")))
    result = run("start", "web", "--edition", "v3", "-f", str(file), "--image", "web:4")
    assert result.exit_code == 0, result.output
    assert staged.spec["template"] == template("web:4")
    piped = run(
        "start", "web", "--edition", "v5", "-f", "-", stdin=json.dumps(manifest(template=template("web:5")))
    )
    assert piped.exit_code == 0, piped.output
    assert staged.spec["template"] == template("web:5")


def test_start_forgets_what_an_earlier_edition_was_told(run: Run, staged: Staged) -> None:
    told = {"promote": {"edition": "v1", "step": 2}, "abort": "v1", "groupSize": 2}
    staged.change(rollout={**told, "emergency": "fire", "emergencyEdition": "v1"})
    assert run("start", "web", "--edition", "v2", "--image", "web:2").exit_code == 0
    assert staged.rollout["groupSize"] == 2
    assert not staged.rollout.keys() & {"promote", "abort", "emergencyEdition"}
    assert staged.rollout["emergency"] == ""
    urgent = run("start", "web", "--edition", "v3", "--image", "web:3", "--emergency", "leak", "--major")
    assert urgent.exit_code == 0, urgent.output
    assert (staged.rollout["emergency"], staged.rollout["major"]) == ("leak", True)
    assert staged.rollout["emergencyEdition"] == "v3"


def test_start_again_changes_nothing(run: Run, staged: Staged) -> None:
    asked = ("web", "--edition", "v2", "--image", "web:2")
    run("start", *asked)
    before = staged.object["metadata"]["resourceVersion"]
    again = run("start", *asked)
    assert again.exit_code == 0
    assert "wanted already, from this very template: nothing changed" in again.output
    assert staged.object["metadata"]["resourceVersion"] == before
    other = run("start", "web", "--edition", "v2", "--image", "web:3")
    assert other.exit_code == 1
    assert "edition v2 has another template: give the new one a new name" in other.output


def test_start_of_an_edition_that_was_rolled_back_needs_a_new_name(run: Run, staged: Staged) -> None:
    staged.rolling_out("RolledBack", message="too slow")
    result = run("start", "web", "--edition", "v2", "--image", "web:2")
    assert result.exit_code == 1
    assert "v2 was tried already (RolledBack: too slow): give the next attempt a new name" in result.output


def test_start_does_not_take_the_name_of_a_kept_edition(run: Run, staged: Staged) -> None:
    staged.keep("v0", template("web:0"))
    result = run("start", "web", "--edition", "v0", "--image", "web:2")
    assert result.exit_code == 1
    assert (
        "edition v0 exists with another template: go back to it with `undo --to-edition v0`" in result.output
    )
    staged.keep("b", template(), owner="web-b")
    foreign = run("start", "web", "--edition", "b", "--image", "web:2")
    assert "the Edition web-b belongs to app 'web-b': choose another name" in foreign.output
    assert staged.spec["edition"] == "v1"


def test_start_says_that_it_is_paused(run: Run, staged: Staged) -> None:
    staged.change(rollout={"paused": True})
    result = run("start", "web", "--edition", "v2", "--image", "web:2")
    assert "spec.rollout.paused is set: it begins with resume" in result.output


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--image", "web:2"), "Missing option '--edition'"),
        (("--edition", "v2", "--image", "web="), "must be CONTAINER=IMAGE"),
        (("--edition", "v2", "-f", "/nowhere.yaml"), "/nowhere.yaml"),
        (("--edition", "v2", "--strategy", "Bold"), "'Bold' is not one of"),
    ],
)
def test_a_wrong_call_is_a_usage_error(run: Run, staged: Staged, args: tuple[str, ...], says: str) -> None:
    result = run("start", "web", *args)
    assert result.exit_code == 2
    assert says in result.output


def test_what_the_api_server_refuses_is_told_in_its_words(run: Run, staged: Staged) -> None:
    result = run("start", "web", "--edition", "V 2", "--image", "web:2")
    assert result.exit_code == 1
    assert '"V 2" is not the name of an edition' in result.output
    assert "PATCH" not in result.output


def test_pause_and_resume(run: Run, staged: Staged) -> None:
    staged.rolling_out()
    paused = run("pause", "web")
    assert paused.output == f"{staged.namespace}/web: v2 stays where it is (step 1 of 3, 10 %)\n"
    assert staged.rollout["paused"] is True
    again = run("pause", "web")
    assert again.exit_code == 1
    assert "paused already: resume lets it go on" in again.output
    resumed = run("resume", "web")
    assert resumed.exit_code == 0
    assert staged.rollout["paused"] is False
    assert "is not paused" in run("resume", "web").output


def test_resume_tells_a_paused_app_from_a_paused_rollout(run: Run, staged: Staged) -> None:
    staged.change(edition="v2", template=template("web:2"))
    paused = {"type": "Paused", "status": "True", "reason": "Paused", "message": "until tomorrow"}
    staged.tell(conditions=({**paused, "lastTransitionTime": "2026-01-01T00:00:00Z"},))
    result = run("resume", "web")
    assert result.exit_code == 1
    assert "but the whole app is" in result.output
    assert "spec.paused" in result.output


def test_promote_lets_it_leave_the_step_that_status_shows(run: Run, staged: Staged) -> None:
    staged.rolling_out(needs="promote")
    result = run("promote", "web")
    assert result.output == f"{staged.namespace}/web: v2 may leave step 1 of 3\n"
    assert staged.rollout["promote"] == {"edition": "v2", "step": 1}
    staged.tell(staged.object["status"]["rollout"])
    again = run("promote", "web")
    assert again.exit_code == 1
    assert "v2 was promoted past step 1 already" in again.output
    full = run("promote", "web", "--full")
    assert full.output == f"{staged.namespace}/web: v2 may leave all its steps\n"
    assert staged.rollout["promote"] == {"edition": "v2", "step": 2}


@pytest.mark.parametrize(
    ("phase", "rollout", "says"),
    [
        ("Waiting", {"step": 0, "needs": "approve"}, "waits for somebody else's approve"),
        ("Waiting", {"step": 0, "until": "2030-01-01T00:00:00Z"}, "it may start at 2030-01-01T00:00:00Z; an emergency"),
        ("Progressing", {"step": 3, "weight": 100}, "nothing is left to promote: v2 has all new sessions"),
        ("RollingBack", {"message": "too slow"}, "v2 is being taken back: too slow"),
        ("RolledBack", {"message": "too slow"}, "no rollout is in progress: v2 is RolledBack (too slow)"),
    ],
)  # fmt: skip
def test_what_promote_refuses(
    run: Run, staged: Staged, phase: str, rollout: dict[str, object], says: str
) -> None:
    staged.rolling_out(phase, **rollout)
    result = run("promote", "web")
    assert result.exit_code == 1
    assert says in result.output
    assert "promote" not in staged.rollout


def test_promote_does_not_guess_the_step_from_a_stale_status(run: Run, staged: Staged) -> None:
    staged.rolling_out()
    staged.change(rollout={"soak": "11s"})
    result = run("promote", "web")
    assert result.exit_code == 1
    assert "it is not known yet how far v2 is" in result.output


def test_abort(run: Run, staged: Staged) -> None:
    staged.rolling_out()
    result = run("abort", "web")
    assert result.output == f"{staged.namespace}/web: v2 is taken back; v1 goes on\n"
    assert staged.rollout["abort"] == "v2"
    again = run("abort", "web")
    assert again.exit_code == 1
    assert "v2 is being taken back already" in again.output


def test_abort_right_after_start_works(run: Run, staged: Staged) -> None:
    run("start", "web", "--edition", "v2", "--image", "web:2")
    result = run("abort", "web")
    assert result.exit_code == 0, result.output
    assert staged.rollout["abort"] == "v2"


def test_the_first_edition_cannot_be_aborted(run: Run, staged: Staged) -> None:
    staged.tell(serves=None, conditions=())
    result = run("abort", "web")
    assert result.exit_code == 1
    assert "v1 is the only edition: there is none to go back to" in result.output


@pytest.mark.parametrize("verb", ["pause", "promote", "abort"])
def test_without_a_rollout_there_is_nothing_to_steer(run: Run, staged: Staged, verb: str) -> None:
    result = run(verb, "web")
    assert result.exit_code == 1
    assert "no rollout is in progress: v1 serves" in result.output


def test_undo_takes_the_template_of_the_edition_that_served_before(run: Run, staged: Staged) -> None:
    staged.keep("v1", template("web:1"))
    staged.rolling_out("Completed")
    staged.tell(staged.object["status"]["rollout"], serves="v2")
    staged.change(rollout={"abort": "v1", "paused": False})
    result = run("undo", "web", "--emergency", "v2 loses orders")
    assert result.output == f"{staged.namespace}/web: v1 follows v2 again\n"
    assert staged.spec["edition"] == "v1"
    assert staged.spec["template"] == template("web:1")
    assert "abort" not in staged.rollout
    assert staged.rollout["emergency"] == "v2 loses orders"
    assert staged.rollout["emergencyEdition"] == "v1"


def test_undo_in_the_middle_goes_back_to_the_edition_that_serves(run: Run, staged: Staged) -> None:
    staged.keep("v1", template("web:1"), state="Active")
    staged.rolling_out()
    result = run("undo", "web")
    assert result.exit_code == 0, result.output
    assert "v1, which still serves, goes on" in result.output
    assert (staged.spec["edition"], staged.spec["template"]) == ("v1", template("web:1"))


def test_undo_to_any_kept_edition(run: Run, staged: Staged) -> None:
    staged.keep("v1", template("web:1"), state="Active")
    staged.keep("v0", template("web:0", "log"))
    assert run("undo", "web", "--to-edition", "v0").exit_code == 0
    assert staged.spec["template"] == template("web:0", "log")


def test_undo_refuses_with_what_is_kept(run: Run, staged: Staged) -> None:
    staged.keep("v1", template("web:1"), state="Active")
    staged.keep("v0", template("web:0"))
    unknown = run("undo", "web")
    assert unknown.exit_code == 1
    assert "name one with --to-edition (kept are: " in unknown.output
    missing = run("undo", "web", "--to-edition", "v7")
    assert "there is no edition v7 to go back to (kept are: " in missing.output
    assert "v0" in missing.output
    same = run("undo", "web", "--to-edition", "v1")
    assert "v1 is the edition that spec names already" in same.output
    staged.rolling_out("Completed", **{"from": "v-1"})
    staged.tell(staged.object["status"]["rollout"], serves="v2")
    gone = run("undo", "web")
    assert "edition v-1 is not kept any more" in gone.output
    assert staged.spec["edition"] == "v2"


def test_undo_never_goes_to_an_edition_that_was_given_up(run: Run, staged: Staged) -> None:
    staged.keep("v2", template("web:2"))
    staged.tell({**_settled(), "from": "v2"})
    result = run("undo", "web")
    assert result.exit_code == 1
    assert "which edition served before is not recorded" in result.output


def _settled() -> dict[str, object]:
    """As the operator tells it when spec names the serving edition again."""
    return {"edition": "v1", "strategy": "Rolling", "phase": "Completed", "reason": "ServesAlready"}


def test_approve_writes_who_and_why_on_the_edition(run: Run, staged: Staged) -> None:
    staged.change(edition="v2", template=template("web:2"), rollout={"major": True})
    early = run("approve", "web", "--reason", "reviewed")
    assert early.exit_code == 1
    assert "the operator has made no Edition for v2 yet" in early.output
    staged.keep("v2", template("web:2"), state="Validating")
    result = run("approve", "web", "--reason", "reviewed, ticket 7")
    assert result.exit_code == 0, result.output
    written = json.loads(staged.approval("v2"))
    assert written["reason"] == "reviewed, ticket 7"
    assert result.output == f"{staged.namespace}/web: v2 is approved by {written['by']}\n"
    assert written["by"]
    again = run("approve", "web", "--reason", "me too")
    assert again.exit_code == 1
    assert f"v2 was approved already by {written['by']}: reviewed, ticket 7" in again.output


def test_approve_refuses_what_needs_none(run: Run, staged: Staged) -> None:
    staged.keep("v1", template("web:1"))
    result = run("approve", "web", "--reason", "fine")
    assert result.exit_code == 1
    assert "v1 is not a major edition: it needs no approval" in result.output
    assert run("approve", "web").exit_code == 2
    assert run("approve", "web", "--reason", " ").exit_code == 2


def test_history_lists_what_is_kept(run: Run, staged: Staged) -> None:
    assert "has no edition yet" in run("history", "web").output
    staged.keep("v1", template("web:1"), state="Active")
    staged.keep("v2", template("web:2", "log"), state="Validating")
    text = run("history", "web").output
    assert text.splitlines()[0].split() == ["EDITION", "STATE", "SERVERS", "CREATED", "IMAGES", "APPROVED"]
    rows = {row["edition"]: row for row in json.loads(run("history", "web", "-o", "json").stdout)}
    assert rows["v2"]["images"] == "web:2, log:1"
    assert rows["v1"]["state"] == "Active"


def test_list_shows_every_app_with_its_rollout(run: Run, staged: Staged) -> None:
    staged.rolling_out(needs="promote")
    Staged(staged.server, "other").create()
    rows = {row["app"]: row for row in json.loads(run("list", "-o", "json").stdout)}
    assert rows["web"] | {"serves": "v1", "wanted": "v2", "step": "1/3", "needs": "promote"} == rows["web"]
    assert rows["other"]["phase"] is None
    assert "Progressing" in run("list").output
    everywhere = json.loads(run("list", "-A", "-o", "json").stdout)
    assert {"web", "other"} <= {row["app"] for row in everywhere}


@pytest.mark.parametrize(
    "verb", ["start", "pause", "resume", "promote", "abort", "undo", "approve", "history", "status"]
)
def test_an_app_that_does_not_exist_is_named_with_those_that_do(run: Run, staged: Staged, verb: str) -> None:
    more = {"start": ("--edition", "v2"), "approve": ("--reason", "fine")}.get(verb, ())
    result = run(verb, "wep", *more)
    assert result.exit_code == 1
    assert f"no ElasticApp 'wep' in namespace '{staged.namespace}' (there: web)" in result.output


def test_whoever_may_only_look_is_told_so(run: Run, staged: Staged, account: Account) -> None:
    staged.rolling_out()
    kubeconfig = account("viewer", "view")
    eventually(lambda: run("list", kubeconfig=kubeconfig).exit_code == 0, 20, "its rights are in force")
    assert run("status", "web", kubeconfig=kubeconfig).exit_code == 124
    refused = run("abort", "web", kubeconfig=kubeconfig)
    assert refused.exit_code == 1
    assert "cannot patch resource" in refused.output
    assert "abort" not in staged.rollout


def test_the_namespace_is_that_of_the_context(staged: Staged, account: Account) -> None:
    env = {"KUBECONFIG": str(account("viewer", "view"))}

    def listed() -> list[str]:
        output = CliRunner().invoke(main, ["rollout", "list", "-o", "json"], env=env).stdout
        return [row["app"] for row in json.loads(output)]

    assert eventually(listed, 20, "its rights are in force") == ["web"]


def test_without_a_kubeconfig_it_says_where_it_looked(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    result = CliRunner().invoke(main, ["rollout", "list"], env={"KUBECONFIG": missing})
    assert result.exit_code == 1
    assert missing in result.output
