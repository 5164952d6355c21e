"""`kubectl millpond`: the same program, found by kubectl on PATH, completed by kubectl and by shells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from millpond.cli.main import main
from millpond.cli.shell.completion import script
from millpond.local.cluster.embedded import Cluster
from millpond.local.programs import programs

from cli.conftest import Account
from cli.staged import Staged
from waiting import eventually

BIN = Path(sys.executable).parent  # where the console scripts are


def shell(*argv: str, **env: str) -> str:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv, env=os.environ | {"PATH": path, **env}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.integration
def test_kubectl_finds_it(staged: Staged, cluster: Cluster) -> None:
    kubectl = str(programs.find(print)["kubectl"])
    there = {"KUBECONFIG": str(cluster.kubeconfig)}
    table = shell(kubectl, "millpond", "get", "apps", f"-n={staged.namespace}", **there)
    assert table.splitlines()[1].split()[:2] == ["web", "Serving"]
    assert "Usage: kubectl millpond rollout start [OPTIONS] APP" in shell(
        kubectl, "millpond", "rollout", "start", "--help"
    )
    offered = shell(
        kubectl, "__complete", "millpond", "status", f"--namespace={staged.namespace}", "w", **there
    )
    assert offered.splitlines() == ["web", ":4"]


def test_help_and_errors_say_how_it_was_called() -> None:
    result = CliRunner().invoke(main, ["get", "--help"], prog_name="kubectl millpond")
    assert "\n  kubectl millpond get apps -A -o wide " in result.output
    wrong = CliRunner().invoke(main, ["get", "--nothing"], prog_name="kubectl millpond")
    assert "Try 'kubectl millpond get --help' for help." in wrong.output


def test_bash_completes_both_programs() -> None:
    ask = "source <(millpond completion bash); COMP_WORDS=($0 expl); COMP_CWORD=1; _millpond_completion $0; "
    for program in ("millpond", "kubectl-millpond"):
        found = shell("bash", "-c", f'{ask} echo "${{COMPREPLY[@]}}"; complete -p {program}', program)
        assert found.splitlines() == ["explain", f"complete -o nosort -F _millpond_completion {program}"]


def test_zsh_and_fish_are_told_of_both_programs() -> None:
    assert script("zsh").startswith("#compdef millpond kubectl-millpond\n")
    assert "compdef _millpond_completion kubectl-millpond" in script("zsh")
    assert "--command kubectl-millpond " in script("fish")


@pytest.mark.integration
def test_the_context_says_which_namespace_and_who(staged: Staged, cluster: Cluster, account: Account) -> None:
    files = os.pathsep.join((str(cluster.kubeconfig), str(account("viewer", "view"))))

    def shown(*args: str) -> str:
        return CliRunner().invoke(main, [*args], env={"KUBECONFIG": files}).output

    name = "elasticapp.millpond.dev/web\n"
    eventually(lambda: shown("get", "-o", "name", "--context", "x") == name, 20, "its rights are in force")
    assert "no apps in namespace 'default'" in shown("get")
    assert "web" in shown("rollout", "list", "--context", "x")
    assert "cannot patch resource" in shown("rollout", "start", "web", "--edition", "v2", "--context", "x")
    assert "no context 'z' in" in shown("status", "web", "--context", "z")
