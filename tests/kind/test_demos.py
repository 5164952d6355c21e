"""The demos on kind as a user runs them, beside a release that stays."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from millpond.demo import scenario
from millpond.demo.kind.release import Release
from millpond.demo.run import Options, run
from millpond.demo.scenario import steady

pytestmark = [pytest.mark.kind, pytest.mark.timeout(900)]
RATE = 200
ROLLOUT_S = 60.0


def test_the_release_passes_its_own_test(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "millpond", "--timeout", "2m")


def test_a_surge_is_followed_by_servers_and_no_request_is_lost(release: Release, tmp_path: Path) -> None:
    report = tmp_path / "surge.json"
    argv = ["demo", "surge", "--on", "kind", "--kind-cluster", release.cluster.name, "--plain"]
    argv += ["--duration", "100", "--report", str(report), "--picture", str(tmp_path / "surge.png")]
    done = subprocess.run(
        [sys.executable, "-m", "millpond", *argv], capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, "a check did not pass: see above"
    requests = json.loads(report.read_text())["requests"]
    assert requests["failed"] == 0
    assert requests["ok"] == requests["sent"] > 0
    assert not release.cluster.kubectl("get", "namespace", "shop", "--ignore-not-found").strip()
    assert release.exists


def test_a_canary_takes_over_at_200_requests_a_second_and_no_request_is_lost(
    release: Release, tmp_path: Path
) -> None:
    whole = scenario.load("rollout")
    assert whole.script is not None
    script = replace(whole.script, steps=whole.script.steps[:1]).at_speed(2)
    plan = replace(whole, script=script, profile=steady(script, ROLLOUT_S, RATE))
    report = tmp_path / "rollout.json"
    options = Options(
        picture=tmp_path / "rollout.png",
        report=report,
        plain=True,
        on_kind=True,
        kind_cluster=release.cluster.name,
    )
    assert run(plan, options, Console(width=140)), "a check did not pass: see above"
    found = json.loads(report.read_text())
    assert found["requests"]["failed"] == 0
    assert {"Servers worked on every request exactly once", "Routers counted every request once"} <= {
        check["name"] for check in found["checks"]
    }
