"""A demo from start to end: set up, load, watch, judge, draw, report."""

import asyncio
import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from millpond.clock import now_s
from millpond.demo import picture, report, view
from millpond.demo.recording import Decision, Recording, Second
from millpond.demo.scenario import Check, Scenario
from millpond.demo.stack import Stack, StackError
from millpond.demo.tally import LoadSecond, Totals
from millpond.demo.watch import Watch
from millpond.kube.client import Api

_LOOK_EVERY_S = 0.1
_TIMEOUT_S = 30.0


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
        recording = asyncio.run(record(stack, scenario, view.choose(scenario, console, plain=options.plain)))
        checks = judge(scenario, recording)
        _publish(scenario, recording, checks, options, console)
        if options.keep:
            _tell_how_to_look(stack, scenario, console)
            _wait_for_interrupt(console)
    return all(check.passed for check in checks)


def judge(scenario: Scenario, recording: Recording) -> tuple[Check, ...]:
    return tuple(found for check in scenario.checks for found in check(scenario, recording))


async def record(stack: Stack, scenario: Scenario, shown: view.View) -> Recording:
    """Applies the load and notes, once a second, what it met."""
    out = stack.cluster.state_dir / "load.jsonl"
    out.unlink(missing_ok=True)
    routed_before = stack.routed()
    api = Api(stack.cluster.kubeconfig)
    try:
        async with Watch(api, scenario.namespace, scenario.app, now_s) as watch:
            with shown.running():
                return await _follow(stack, scenario, shown, watch, out, routed_before)
    finally:
        await api.close()


async def _follow(
    stack: Stack, scenario: Scenario, shown: view.View, watch: Watch, out: Path, routed_before: int | None
) -> Recording:
    process = stack.start_load(out, _TIMEOUT_S)
    lines, seconds, started_s = _Lines(out), [], 0.0
    while True:
        ended = not process.alive  # asked before reading: its last lines are not missed
        for line in lines.new():
            if "started_at_s" in line:
                started_s = line["started_at_s"]
            elif "t_s" in line:
                seconds.append(_second(LoadSecond(**line), watch))
                shown.show(seconds, _decisions(watch, started_s))
            else:
                totals = Totals.from_dict(line)
                return Recording(
                    scenario=scenario.name,
                    seconds=tuple(seconds),
                    orders=watch.history.orders_since(started_s),
                    decisions=_decisions(watch, started_s),
                    requests=totals,
                    routed=_difference(stack.routed(), routed_before),
                )
        if ended:
            raise StackError(f"the load generator ended early\n{process.log_tail()}")
        await asyncio.sleep(_LOOK_EVERY_S)


class _Lines:
    """JSON lines of a file that another process is writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        with self._path.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole.encode())
        for line in whole.splitlines():
            yield json.loads(line)


def _second(load: LoadSecond, watch: Watch) -> Second:
    servers = watch.servers
    return Second(
        t_s=load.t_s,
        rate_rps=float(load.sent),
        response_ms=load.mean_ms,
        p95_ms=load.p95_ms,
        ok=load.ok,
        failed=load.failed,
        open=load.open,
        servers_ready=servers.ready,
        servers_starting=servers.starting,
        servers_draining=servers.draining,
        servers_desired=servers.desired,
    )


def _decisions(watch: Watch, started_s: float) -> tuple[Decision, ...]:
    """Those since the load began (and a moment before), timed from then."""
    found = (replace(d, t_s=d.t_s - started_s) for d in watch.history.decisions.values())
    return tuple(sorted((d for d in found if d.t_s > -1), key=lambda d: d.t_s))


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _publish(
    scenario: Scenario, run: Recording, checks: Sequence[Check], options: Options, console: Console
) -> None:
    picture.draw(scenario, run, checks, options.picture)
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
