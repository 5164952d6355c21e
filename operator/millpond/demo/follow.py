"""Follows a run while it goes on: the load's lines second by second, what the API server says, and the script."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from millpond.clock import now_s
from millpond.demo.play import play, shell_of
from millpond.demo.recording import Decision, EditionSecond, Recording, Second
from millpond.demo.requests.answers import Answer
from millpond.demo.requests.tally import LoadSecond, Outcome, Totals
from millpond.demo.scenario import Scenario
from millpond.demo.show import view
from millpond.demo.stage.stack import Stack, StackError
from millpond.demo.watch import Watch
from millpond.kube.client import Api
from millpond.local.processes.process import Process

_LOOK_EVERY_S = 0.1


async def record(stack: Stack, scenario: Scenario, shown: view.View) -> Recording:
    """Applies the load and notes, once a second, what it met. Raises StackError when a part of it ends early."""
    out, answers = stack.folder / "load.jsonl", stack.folder / "answers.jsonl"
    routed_before = stack.routed()
    api = Api(stack.kubeconfig)
    try:
        async with Watch(api, scenario.namespace, scenario.app, now_s) as watch:
            with shown.running():
                run = _Run(stack, scenario, shown, watch, _Lines(out), _Lines(answers))
                totals = await run.follow(stack.start_load(out, answers))
                return run.recording(totals, _difference(stack.routed(), routed_before))
    finally:
        await api.close()


@dataclass(slots=True)
class _Run:
    stack: Stack
    scenario: Scenario
    shown: view.View
    watch: Watch
    lines: "_Lines"
    answer_lines: "_Lines"
    seconds: list[Second] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    started_s: float = 0.0
    commands: tuple[str, ...] = ()

    async def follow(self, load: Process) -> Totals:
        """Until the load is over: by itself, or when the script is. Raises StackError."""
        script = asyncio.create_task(self._play(load))
        try:
            while True:
                ended = not load.alive  # asked before reading: its last lines are not missed
                for line in self.lines.new():
                    if (totals := self._note(json.loads(line))) is not None:
                        return totals
                if ended:
                    raise StackError(f"the load generator ended early\n{load.log_tail()}")
                if script.done() and (error := script.exception()):
                    raise StackError(str(error)) from error
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            script.cancel()

    async def _play(self, load: Process) -> None:
        """Raises CommandError."""
        if self.scenario.script is None:
            return

        def tell(commands: Sequence[str]) -> None:
            self.commands = tuple(commands)

        await play(self.scenario.script, self.watch, shell_of(self.stack), tell)
        load.terminate()

    def _note(self, line: Mapping[str, Any]) -> Totals | None:
        """The totals are the last line."""
        if "started_at_s" in line:
            self.started_s = line["started_at_s"]
        elif "t_s" in line:
            self.seconds.append(self._second(LoadSecond(**line)))
            if seconds := self._under_load():
                self.shown.show(seconds, self._decisions())
        else:
            return Totals.from_dict(line)
        return None

    def _second(self, load: LoadSecond) -> Second:
        servers = self.watch.servers
        moments = self.watch.takeovers.moments_since(self.started_s)
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
            editions=self._editions(load.t_s) if self.scenario.script else {},
            rollout=moments[-1] if moments else None,
            commands=self.commands,
        )

    def _editions(self, t_s: int) -> Mapping[str, EditionSecond]:
        took_ms: defaultdict[str, list[float]] = defaultdict(list)
        for answer in self._new_answers():
            if answer.outcome is Outcome.OK:
                took_ms[answer.edition].append(answer.took_s * 1000)
        servers = self.watch.editions
        return {
            name: EditionSecond(
                ready=servers[name].ready if name in servers else 0,
                starting=servers[name].starting if name in servers else 0,
                draining=servers[name].draining if name in servers else 0,
                answers=len(took_ms[name]),
                response_ms=sum(took_ms[name]) / len(took_ms[name]) if took_ms[name] else None,
            )
            for name in sorted(servers.keys() | took_ms.keys())
        }

    def _under_load(self) -> Sequence[Second]:
        """Without the last seconds, in which a load that was ended only waits for its slowest answers."""
        if self.scenario.script is None:
            return self.seconds
        last = max((n for n, s in enumerate(self.seconds) if s.rate_rps), default=-1)
        return self.seconds[: last + 1]

    def _new_answers(self) -> Sequence[Answer]:
        found = [Answer.from_json(line) for line in self.answer_lines.new()]
        self.answers += found
        return found

    def _decisions(self) -> tuple[Decision, ...]:
        """Those since the load began (and a moment before), timed from then."""
        found = (replace(d, t_s=d.t_s - self.started_s) for d in self.watch.history.decisions.values())
        return tuple(sorted((d for d in found if d.t_s > -1), key=lambda d: d.t_s))

    def recording(self, totals: Totals, routed: int | None) -> Recording:
        self._new_answers()
        takeovers = self.watch.takeovers
        return Recording(
            scenario=self.scenario.name,
            seconds=tuple(self._under_load()),
            orders=self.watch.history.orders_since(self.started_s),
            decisions=self._decisions(),
            requests=totals,
            routed=routed,
            moments=takeovers.moments_since(self.started_s),
            arrivals=takeovers.arrivals_since(self.started_s),
            ready=takeovers.ready_since(self.started_s),
            answers=tuple(self.answers),
            processed=self.stack.processed() if self.scenario.script else {},
        )


class _Lines:
    """Lines of a file that another process is writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        path.unlink(missing_ok=True)

    def new(self) -> Sequence[str]:
        """Those that are complete and were not given yet."""
        if not self._path.exists():
            return []
        with self._path.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole.encode())
        return whole.splitlines()


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before
