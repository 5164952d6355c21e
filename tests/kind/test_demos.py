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
from millpond.demo.script import Mix

from kind.rotation import Rotation

pytestmark = [pytest.mark.kind, pytest.mark.timeout(900)]
SURE = {
    "No failed request from start to end",
    "Routers counted every request once",
    "One server more at or before the first sustained excess",
    "No server that the model does not need",
}
"""Of the checks of a surge that is squeezed into half of its time, on a machine that does much else."""
RATE = 200
ROLLOUT_S = 60.0


def test_the_release_passes_its_own_test(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "millpond", "--timeout", "2m")


def test_a_surge_is_followed_by_servers_and_no_request_is_lost(release: Release, tmp_path: Path) -> None:
    report = tmp_path / "surge.json"
    argv = ["demo", "surge", "--on", "kind", "--kind-cluster", release.cluster.name, "--plain"]
    argv += ["--duration", "100", "--report", str(report), "--picture", str(tmp_path / "surge.png")]
    command = [sys.executable, "-m", "millpond", *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    print(done.stdout, done.stderr)
    assert report.exists(), "it came to no end: see above"
    found = json.loads(report.read_text())
    failed = {check["name"] for check in found["checks"] if not check["passed"]}
    assert not failed & SURE, "a check did not pass: see above"
    assert found["requests"]["ok"] == found["requests"]["sent"] > 0
    ordered = [row["servers_desired"] for row in found["timeline"]]
    assert ordered[0] == 1
    assert max(ordered) >= 4
    assert ordered[-1] < max(ordered), "servers go when the load is gone"
    assert not release.cluster.kubectl("get", "namespace", "shop", "--ignore-not-found").strip()
    assert release.exists


def test_a_canary_takes_over_at_200_requests_a_second_and_no_request_is_lost(
    release: Release, rotation: Rotation, tmp_path: Path
) -> None:
    whole = scenario.load("rollout")
    assert whole.script is not None
    script = replace(whole.script, steps=whole.script.steps[:1], mix=Mix(session_s=6)).at_speed(2)
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
