"""The pipelines of examples/ci do what they say, against the real API server."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from millpond import paths
from millpond.local.cluster.embedded import Cluster
from millpond.local.programs import programs

from cli.staged import Staged, condition, manifest, progress, template
from waiting import eventually

pytestmark = pytest.mark.integration
CI = paths.examples() / "ci"
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(cluster: Cluster, staged: Staged, tmp_path: Path) -> Shell:
    """Runs a script as a runner would, and calls `meanwhile` once it has begun."""
    kubectl = Path(programs.find(lambda _: None)["kubectl"]).parent
    path = f"{Path(sys.executable).parent}:{kubectl}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "KUBECONFIG": str(cluster.kubeconfig), "APP": "web", "TIMEOUT": "60s"}

    def shell(
        argv: list[str], meanwhile: Callable[[], None], extra: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        operator = threading.Thread(target=meanwhile)
        operator.start()
        more = {"NAMESPACE": staged.namespace, "IMAGE": "web:2", **(extra or {})}
        done = subprocess.run(
            argv, env={**env, **more}, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        operator.join(60)
        return done

    return shell


def ending(staged: Staged, phase: str, serves: str, **rollout: Any) -> Callable[[], None]:
    """Ends the rollout as the operator would, once v2-0 is wanted."""
    over = condition("RollingOut", "False", "TookOver")

    def end() -> None:
        eventually(lambda: staged.spec["edition"] == "v2-0", 60, "the new edition is wanted")
        told = progress(phase, edition="v2-0", **rollout)
        staged.tell(told, serves=serves, conditions=(over,) if phase in ("Completed", "RolledBack") else ())

    return end


ENDS = [
    ("Completed", "v2-0", {}, 0),
    ("RolledBack", "v1", {"message": "too slow"}, 1),
    ("Progressing", "v1", {"needs": "promote"}, 3),
]


@pytest.mark.parametrize(("phase", "serves", "rollout", "code"), ENDS)
def test_github(
    shell: Shell, staged: Staged, tmp_path: Path, phase: str, serves: str, rollout: dict[str, Any], code: int
) -> None:
    workflow = yaml.safe_load((CI / "github-workflow.yaml").read_text())
    job = workflow["jobs"]["roll-out"]
    (script,) = (step["run"] for step in job["steps"] if step["name"] == "Roll out")
    done = shell(["bash", "-e", "-c", script], ending(staged, phase, serves, **rollout), {"EDITION": "V2.0"})
    assert done.returncode == (0 if code == 3 else code), done.stdout + done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["exitCode"] == code
    said = {
        0: "::notice::web v2-0 serves",
        1: "::error::web v2-0 was not rolled out",
        3: "::warning::web v2-0 waits",
    }
    assert said[code] in done.stdout


@pytest.mark.parametrize(("phase", "serves", "rollout", "code"), ENDS)
def test_gitlab(
    shell: Shell, staged: Staged, phase: str, serves: str, rollout: dict[str, Any], code: int
) -> None:
    job = yaml.safe_load((CI / "gitlab-ci.yaml").read_text())["roll-out"]
    script = "\n".join(job["script"])
    done = shell(
        ["bash", "-e", "-c", script], ending(staged, phase, serves, **rollout), {"CI_COMMIT_TAG": "v2.0"}
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert job["allow_failure"] == {"exit_codes": 3}


@pytest.mark.parametrize(("phase", "serves", "rollout", "code"), ENDS[:2])
def test_kubectl_alone(
    shell: Shell, staged: Staged, tmp_path: Path, phase: str, serves: str, rollout: dict[str, Any], code: int
) -> None:
    staged.tell(conditions=(condition("RollingOut", "False", "AsExpected"),))  # from before the apply
    file = tmp_path / "web.yaml"
    file.write_text(json.dumps(manifest(edition="v2-0", template=template("web:2"))))
    argv = [str(CI / "kubectl-wait.sh"), str(file), staged.namespace, "web", "60s"]
    there = {"kind": "List", "apiVersion": "v1", "items": [json.loads(file.read_text())]}
    there["items"][0]["metadata"]["namespace"] = staged.namespace
    file.write_text(json.dumps(there))
    done = shell(argv, ending(staged, phase, serves, **rollout))
    assert done.returncode == code, done.stdout + done.stderr
    if code:
        assert "web: v2-0 ended as RolledBack: too slow; v1 serves" in done.stderr
    else:
        assert done.stdout.endswith("web: v2-0 serves\n")
