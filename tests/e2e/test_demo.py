"""The demos as a user runs them: a report in its shape, a picture, no request lost. Times are left to the demos."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
PNG = b"\x89PNG\r\n\x1a\n"
ROW = {"t_s", "rate_rps", "response_ms", "servers_ready", "servers_desired"}
PASSED, FAILED = 0, 1


def demo(name: str, folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Its report and what it printed; it ran to its end, whatever its checks said."""
    report, picture = folder / "new" / "report.json", folder / "new" / "timeline.png"
    argv = [sys.executable, "-m", "millpond", "demo", name, "--plain", *options]
    argv += ["--report", str(report), "--picture", str(picture)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode in (PASSED, FAILED), done.stdout + done.stderr
    assert report.exists(), done.stdout + done.stderr
    assert picture.read_bytes().startswith(PNG)
    found: dict[str, Any] = json.loads(report.read_text())
    assert (done.returncode == PASSED) == all(check["passed"] for check in found["checks"])
    return found, done.stdout


def check_shape(found: dict[str, Any], name: str) -> None:
    assert found["scenario"] == name
    assert all(check.keys() == {"name", "passed", "measured", "goal"} for check in found["checks"])
    requests = found["requests"]
    assert requests["failed"] == 0, found["checks"]
    assert requests["ok"] == requests["sent"] > 0
    assert [row["t_s"] for row in found["timeline"]] == list(range(len(found["timeline"])))
    assert all(row.keys() >= ROW for row in found["timeline"])


@pytest.mark.timeout(560)
def test_the_surge_shows_servers_that_follow_the_load_and_loses_nothing(tmp_path: Path) -> None:
    found, printed = demo("surge", tmp_path, "--duration", "30")
    check_shape(found, "surge")
    assert sum(row["rate_rps"] for row in found["timeline"]) == found["requests"]["sent"]
    ordered = [row["servers_desired"] for row in found["timeline"]]
    changes = [n for before, n in zip([0, *ordered], ordered, strict=False) if n != before]
    assert changes[0] == 1
    assert changes[1] > 1
    assert max(row["servers_ready"] for row in found["timeline"]) > 1
    for part in ("kubectl apply -f surge", "requests/s", "No failed request from start to end"):
        assert part in printed


@pytest.mark.long
@pytest.mark.timeout(560)
def test_the_rollouts_lose_no_request_and_no_session_and_the_sick_edition_is_taken_back(
    tmp_path: Path,
) -> None:
    found, printed = demo("rollout", tmp_path)
    check_shape(found, "rollout")
    ends = {m["edition"]: (m["phase"], m["reason"], m["origin"]) for m in found["rollouts"]}
    assert ends == {
        "v2": ("Completed", "TookOver", "v1"),
        "v3": ("RolledBack", "EditionSlow", "v2"),
        "v1": ("Completed", "TookOver", "v2"),
    }
    assert found["timeline"][-1]["editions"].keys() == {"v1"}
    passed = {check["name"] for check in found["checks"] if check["passed"]}
    assert passed >= {
        "Servers worked on every request exactly once",
        "Every session stayed on one edition",
        "Routers counted every request once",
        "Never fewer than 2 servers",
        "New sessions on v3",
    }
    assert "$ millpond rollout undo shop -n shop --to-edition v1" in printed
