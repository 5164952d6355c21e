"""A demo from start to end: set up, load, watch, judge, draw, report."""

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from millpond.demo.follow import record
from millpond.demo.judge import report, rollout_checks
from millpond.demo.kind.stack import KindStack
from millpond.demo.recording import Recording
from millpond.demo.scenario import Check, Scenario
from millpond.demo.show import picture, rollout_picture, rollout_view, view
from millpond.demo.stage.embedded import EmbeddedStack
from millpond.demo.stage.stack import Say, Stack, StackError
from millpond.local.errors import ClusterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    picture: Path
    report: Path | None = None
    keep: bool = False
    plain: bool = False
    on_kind: bool = False
    kind_cluster: str | None = None
    """One that is there already, and stays."""


def run(scenario: Scenario, options: Options, console: Console) -> bool:
    """Runs the demo; whether all checks passed. Raises StackError when a part does not come up."""

    def say(text: str) -> None:
        console.print(f"· {text}", highlight=False, markup=False, soft_wrap=True)

    with _terminable(), _start(scenario, options, say) as stack:
        if scenario.script and not stack.keeps_books:
            say("servers cannot write down what they work on there: that check is left out")
            scenario = scenario.without(rollout_checks.each_request_worked_on_once)
        _tell_how_to_look(stack, scenario, console)
        checks = _play(stack, scenario, options, console, say)
        if options.keep:
            _tell_how_to_look(stack, scenario, console)
            _wait_for_interrupt(console)
    return all(check.passed for check in checks)


def _start(scenario: Scenario, options: Options, say: Say) -> Stack:
    if options.on_kind:
        return KindStack.start(scenario, say, options.kind_cluster)
    return EmbeddedStack.start(scenario, say)


def _play(
    stack: Stack, scenario: Scenario, options: Options, console: Console, say: Say
) -> tuple[Check, ...]:
    """What helps to find out why is printed when the run breaks, or a check does not pass."""
    shown = (rollout_view if scenario.script else view).choose(scenario, console, plain=options.plain)
    try:
        recording = asyncio.run(record(stack, scenario, shown))
    except (StackError, ClusterError):
        say(stack.explanation())
        raise
    checks = judge(scenario, recording)
    if options.on_kind and not all(check.passed for check in checks):
        say(stack.explanation())
    _publish(scenario, recording, checks, options, console)
    return checks


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: what was started is ended."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        f"  export KUBECONFIG={stack.kubeconfig}",
        f"  kubectl get elasticapp,editions,pods -n {scenario.namespace} -o wide",
        f"  millpond explain {scenario.app} -n {scenario.namespace}",
        *([f"  millpond rollout status {scenario.app} -n {scenario.namespace}"] if scenario.script else []),
        f"  curl -H 'Host: {scenario.host}' {stack.url}",
        f"  logs: {stack.folder}",
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
