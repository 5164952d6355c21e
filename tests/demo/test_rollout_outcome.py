"""What a run with rollouts shows while it goes on and leaves behind: lines, a panel, a picture, a report."""

import io
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest
from rich.console import Console

from millpond.demo import scenario
from millpond.demo.judge import report
from millpond.demo.recording import Recording
from millpond.demo.requests.tally import Totals
from millpond.demo.script import typed
from millpond.demo.show import rollout_picture, rollout_view

from .made_up_rollout import MOMENTS, SCENARIO, recording

GOOD = recording()
NOTHING = Recording(
    scenario="made-up", seconds=(), orders=(), decisions=(), requests=Totals(sent=0, outcomes={})
)


def test_the_report_has_the_rows_of_any_demo_and_the_editions_besides() -> None:
    result = json.loads(report.as_json(GOOD, ()))
    assert result.keys() == {"scenario", "checks", "requests", "timeline", "rollouts"}
    row = {"t_s", "rate_rps", "response_ms", "servers_ready", "servers_desired", "editions"}
    assert [set(second) for second in result["timeline"]] == [row] * 60
    assert result["timeline"][45]["editions"]["v3"]["ready"] == 1
    assert [(m["edition"], m["phase"]) for m in result["rollouts"]][-1] == ("v3", "RolledBack")


def test_lines_tell_each_command_and_moment_once_and_the_state_every_five_seconds() -> None:
    console = Console(width=300, record=True, file=io.StringIO())
    shown = rollout_view.choose(SCENARIO, console)
    with shown.running():
        for n in range(1, 61):
            shown.show(GOOD.seconds[:n], ())
    lines = console.export_text().splitlines()
    assert sum("$ millpond rollout start shop --edition v2" in line for line in lines) == 1
    assert sum("of the new sessions: " in line for line in lines) == len(MOMENTS)
    assert any(
        "v2 → v3  Canary  RolledBack, step 1 of 2, 0 % of the new sessions: EditionSlow" in line
        for line in lines
    )
    state = [line for line in lines if "requests/s" in line]
    assert len(state) == 60 // 5
    assert "v2 2 servers 80 %, v3 1 servers 20 %  failed 0" in state[8]


def test_on_a_terminal_the_panel_shows_editions_with_servers_and_share_and_the_step_with_its_reason() -> None:
    console = Console(width=130, record=True, file=io.StringIO())
    console.print(rollout_view.render(SCENARIO, GOOD.seconds[:45], ()))
    text = console.export_text()
    for part in ("v2", "● ●", "80 %", "v3", "900 ms", "goal ≤ 300 ms", "step 1 of 2", "20 % of", "NextStep"):
        assert part in text
    console.print(rollout_view.render(SCENARIO, GOOD.seconds[:2], ()))
    assert "no rollout yet" in console.export_text()


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(GOOD, id="a whole run"),
        pytest.param(replace(GOOD, moments=MOMENTS[:5]), id="one that never went on"),
        pytest.param(replace(GOOD, moments=()), id="one without any rollout"),
        pytest.param(NOTHING, id="one that ended before its first second"),
    ],
)
def test_the_picture_is_drawn_whatever_happened(run: Recording, tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.png"
    rollout_picture.draw(SCENARIO, run, (), file)
    pixels = matplotlib.image.imread(file)
    assert pixels.shape[:2] == (1500, 1650)
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, pixels.shape[2]).tolist()}) > 5


def test_a_shorter_run_has_shorter_holds_and_the_same_steps() -> None:
    assert SCENARIO.script
    faster = SCENARIO.at_speed(2)
    assert faster.script
    assert faster.script.holds_s == SCENARIO.script.holds_s / 2 == 10
    assert faster.profile.duration_s == 10 + SCENARIO.calm_s
    assert [s.commands for s in faster.script.steps] == [s.commands for s in SCENARIO.script.steps]
    lasting = SCENARIO.lasting(50)
    assert lasting.profile.duration_s == pytest.approx(50)
    shortest = SCENARIO.lasting(5)
    assert shortest.profile.duration_s == pytest.approx(SCENARIO.calm_s + 1)


def test_the_rollout_demo_types_what_the_manual_says() -> None:
    script = scenario.load("rollout").script
    assert script
    commands = [typed(command) for step in script.steps for command in step.commands]
    assert commands[0] == "millpond rollout start shop -n shop --edition v2 --image millpond.dev/shop:2"
    assert commands[-1] == "millpond rollout undo shop -n shop --to-edition v1"
    assert [step.phase for step in script.steps] == ["Completed", "RolledBack", "Completed"]
