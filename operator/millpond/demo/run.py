"""A demo from start to end: set up, load, watch, judge, draw, report."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from millpond.demo import picture, report, rollout_picture, rollout_view, view
from millpond.demo.follow import record
from millpond.demo.recording import Recording
from millpond.demo.scenario import Check, Scenario
from millpond.demo.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    picture: Path
    report: Path | None = None
    keep: bool = False
    plain: bool = False


def run(scenario: Scenario, options: Options, console: Console) -> bool:
    """Runs the demo; whether all checks passed. Raises StackError when a part does not come up."""

    def say(text: str) -> None:
        console.print(f"· {text}", highlight=False, markup=False, soft_wrap=True)

    with Stack.start(scenario, say) as stack:
        _tell_how_to_look(stack, scenario, console)
        shown = (rollout_view if scenario.script else view).choose(scenario, console, plain=options.plain)
        recording = asyncio.run(record(stack, scenario, shown))
        checks = judge(scenario, recording)
        _publish(scenario, recording, checks, options, console)
        if options.keep:
            _tell_how_to_look(stack, scenario, console)
            _wait_for_interrupt(console)
    return all(check.passed for check in checks)


def judge(scenario: Scenario, recording: Recording) -> tuple[Check, ...]:
    return tuple(found for check in scenario.checks for found in check(scenario, recording))


def _publish(
    scenario: Scenario, run: Recording, checks: Sequence[Check], options: Options, console: Console
) -> None:
    (rollout_picture if scenario.script else picture).draw(scenario, run, checks, options.picture)
    console.print(report.as_table(checks))
    console.print(f"Picture: {options.picture}", highlight=False, soft_wrap=True)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report.as_json(run, checks))
        console.print(f"Report: {options.report}", highlight=False, soft_wrap=True)


def _tell_how_to_look(stack: Stack, scenario: Scenario, console: Console) -> None:
    lines = (
        "Look at it from another terminal:",
        f"  export KUBECONFIG={stack.cluster.kubeconfig}",
        f"  kubectl get elasticapp,editions,pods -n {scenario.namespace} -o wide",
        f"  millpond explain {scenario.app} -n {scenario.namespace}",
        *([f"  millpond rollout status {scenario.app} -n {scenario.namespace}"] if scenario.script else []),
        f"  curl -H 'Host: {scenario.host}' {stack.url}",
        f"  logs: {stack.cluster.state_dir}",
    )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _wait_for_interrupt(console: Console) -> None:
    console.print("All of it keeps running until Ctrl-C.")
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        console.print("stopping")
