"""What a run leaves behind: a report in its schema, a table, a picture, and views that say what happens."""

import io
import json
from pathlib import Path

import matplotlib.image
import pytest
from rich.console import Console

from millpond.demo import scenario
from millpond.demo.judge import checks, report
from millpond.demo.recording import Recording, Second
from millpond.demo.requests.tally import Totals
from millpond.demo.show import picture, view

from .made_up import SCENARIO, recording, silent

GOOD = recording()
CHECKS = checks.sequence(SCENARIO, GOOD) + checks.no_failed_request(SCENARIO, recording(failed=2))
NOTHING = Recording(
    scenario="made-up", seconds=(), orders=(), decisions=(), requests=Totals(sent=0, outcomes={})
)


def test_the_report_has_exactly_its_schema_and_a_row_for_each_second() -> None:
    result = json.loads(report.as_json(GOOD, CHECKS))
    assert result.keys() == {"scenario", "checks", "requests", "timeline"}
    assert [set(check) for check in result["checks"]] == [{"name", "passed", "measured", "goal"}] * 2
    assert result["requests"] == {"sent": 4120, "ok": 4120, "failed": 0}
    row = {"t_s", "rate_rps", "response_ms", "servers_ready", "servers_desired"}
    assert [set(second) for second in result["timeline"]] == [row] * 80
    assert [second["t_s"] for second in result["timeline"]] == list(range(80))


def test_a_second_without_answers_is_null_in_the_report() -> None:
    result = json.loads(report.as_json(silent(GOOD, since_s=79), CHECKS))
    assert result["timeline"][79]["response_ms"] is None


def test_the_table_shows_what_passed_and_what_did_not() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(report.as_table(CHECKS))
    text = console.export_text()
    assert text.count("✔") == text.count("✘") == 1
    assert "2 of 4120: 2 timeout" in text


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(GOOD, id="a whole run"),
        pytest.param(silent(GOOD, since_s=0), id="a run without any answer"),
        pytest.param(NOTHING, id="a run that ended before its first second"),
    ],
)
def test_the_picture_is_drawn_whatever_happened(run: Recording, tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.png"
    picture.draw(SCENARIO, run, CHECKS, file)
    pixels = matplotlib.image.imread(file)
    assert pixels.shape[:2] == (1200, 1650)
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, pixels.shape[2]).tolist()}) > 5


def shown(width: int, *, plain: bool, seconds: tuple[Second, ...] = GOOD.seconds) -> str:
    console = Console(width=width, force_terminal=not plain, record=True, file=io.StringIO())
    chosen = view.choose(SCENARIO, console)
    with chosen.running():
        for n in range(1, len(seconds) + 1):
            decided = tuple(d for d in GOOD.decisions if d.t_s <= seconds[n - 1].t_s)
            chosen.show(seconds[:n], decided)
            if not plain and n == 40:
                console.print(view.render(SCENARIO, seconds[:n], decided))
    return console.export_text()


def test_without_a_terminal_there_is_a_line_every_five_seconds_and_one_for_each_decision() -> None:
    lines = shown(200, plain=True).splitlines()
    assert len(lines) == 80 // 5 + 2
    assert "order 2 (BacklogUnexplained)" in "\n".join(lines)
    assert all("goal 300" in line or "order" in line for line in lines)


def test_on_a_terminal_the_view_shows_servers_rate_response_and_the_last_decision() -> None:
    text = shown(110, plain=False)
    for part in ("● ● ● ●", "4 ordered", "130 requests/s", "goal ≤ 300 ms", "order 4", "BacklogUnexplained"):
        assert part in text


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_loads_and_its_files_exist(name: str) -> None:
    found = scenario.load(name)
    assert found.name == name
    assert found.profile.duration_s <= 240
    assert [path for path in found.manifests if not path.exists()] == []
    for shorter in (found.at_speed(2), found.lasting(found.profile.duration_s / 2)):
        half_s = found.profile.duration_s / 2
        assert half_s <= shorter.profile.duration_s <= half_s + found.calm_s


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_makes_no_sense_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SCENARIO.at_speed(speed)


def test_an_unknown_scenario_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="surge"):
        scenario.load("tide")
