"""The result of a run for machines (JSON) and for people (a table)."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from millpond.demo.recording import Recording
from millpond.demo.scenario import Check


def as_dict(run: Recording, checks: Sequence[Check]) -> dict[str, Any]:
    """{"scenario", "checks": [{name, passed, measured, goal}], "requests": {sent, ok, failed}, "timeline": [...]}

    The timeline has one row a second; `response_ms` is null in a second without answers. With a script each row has
    {"editions": {name: {ready, starting, draining, answers, response_ms}}}, and there is {"rollouts": [Moment …]}.
    """
    rollouts = {"rollouts": [asdict(moment) for moment in run.moments]} if run.moments else {}
    return {
        "scenario": run.scenario,
        "checks": [
            {"name": c.name, "passed": c.passed, "measured": c.measured, "goal": c.goal} for c in checks
        ],
        "requests": {"sent": run.requests.sent, "ok": run.requests.ok, "failed": run.requests.failed},
        "timeline": [
            {
                "t_s": s.t_s,
                "rate_rps": s.rate_rps,
                "response_ms": s.response_ms,
                "servers_ready": s.servers_ready,
                "servers_desired": s.servers_desired,
                **({"editions": {n: asdict(e) for n, e in s.editions.items()}} if s.editions else {}),
            }
            for s in run.seconds
        ],
        **rollouts,
    }


def as_json(run: Recording, checks: Sequence[Check]) -> str:
    return json.dumps(as_dict(run, checks), indent=1, ensure_ascii=False) + "\n"


def as_table(checks: Sequence[Check]) -> Table:
    table = Table(title="Checks", title_justify="left", expand=False, pad_edge=False)
    table.add_column("")
    for heading in ("Check", "Measured", "Goal"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        mark = Text("✔", "bold green") if check.passed else Text("✘", "bold red")
        table.add_row(mark, check.name, check.measured, check.goal)
    return table
