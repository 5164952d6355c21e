"""How a run looks while it goes on: a live panel on a terminal, one line every few seconds elsewhere."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from millpond.demo.recording import Decision, Second
from millpond.demo.scenario import Scenario

LINE_EVERY_S = 5
_BARS = " ▁▂▃▄▅▆▇█"
_HISTORY = 60


class View(Protocol):
    def running(self) -> AbstractContextManager[object]: ...
    def show(self, seconds: Sequence[Second], decisions: Sequence[Decision]) -> None:
        """Called once a second with everything so far; times count from the start of the load."""


def choose(scenario: Scenario, console: Console, *, plain: bool = False) -> View:
    if plain or not console.is_terminal:
        return Lines(scenario, console, _line)
    return Panels(scenario, console, render)


Line = Callable[[Second, Scenario], str]
Render = Callable[[Scenario, Sequence[Second], Sequence[Decision]], RenderableType]


class Lines:
    """For logs: the state every five seconds, and every decision that changed something at once."""

    def __init__(self, scenario: Scenario, console: Console, line: Line) -> None:
        self._scenario = scenario
        self._console = console
        self._line = line
        self._told = 0

    def running(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, seconds: Sequence[Second], decisions: Sequence[Decision]) -> None:
        for decision in decisions[self._told :]:
            if decision.action != "Hold":
                self._print(f"{decision.t_s:5.0f} s  {decision.message} ({decision.reason})")
        self._told = len(decisions)
        now = seconds[-1]
        if (now.t_s + 1) % LINE_EVERY_S == 0:
            self._print(self._line(now, self._scenario))

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _line(now: Second, scenario: Scenario) -> str:
    response = "     –" if now.response_ms is None else f"{now.response_ms:6.0f}"
    return (
        f"{now.t_s + 1:5d} s  {now.rate_rps:4.0f} requests/s  {response} ms (goal {scenario.goal_ms:.0f})  "
        f"servers {now.servers_ready} ready, {now.servers_starting} starting, {now.servers_draining} draining, "
        f"{now.servers_desired} ordered  failed {now.failed}"
    )


class Panels:
    """For a terminal."""

    def __init__(self, scenario: Scenario, console: Console, render: Render) -> None:
        self._scenario = scenario
        self._render = render
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def running(self) -> AbstractContextManager[object]:
        return self._live

    def show(self, seconds: Sequence[Second], decisions: Sequence[Decision]) -> None:
        self._live.update(self._render(self._scenario, seconds, decisions), refresh=True)


def render(scenario: Scenario, seconds: Sequence[Second], decisions: Sequence[Decision]) -> RenderableType:
    now, recent = seconds[-1], seconds[-_HISTORY:]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", min_width=9)
    grid.add_column(min_width=24)
    grid.add_column(no_wrap=True, min_width=_HISTORY)
    grid.add_row("Servers", _servers(now), Text(spark([s.servers_ready for s in recent]), "green"))
    grid.add_row("Load", f"{now.rate_rps:.0f} requests/s", Text(spark([s.rate_rps for s in recent]), "blue"))
    grid.add_row("Response", response(now, scenario), response_bars(recent, scenario.goal_ms))
    grid.add_row("Requests", requests(seconds), "")
    total_s = scenario.profile.duration_s
    title = f"{scenario.title}"
    subtitle = f"{now.t_s + 1} of {total_s:.0f} s · Ctrl-C stops everything"
    body = Group(grid, Text(), *_decisions(decisions))
    return Panel(
        body, title=title, subtitle=subtitle, title_align="left", subtitle_align="right", padding=(1, 2)
    )


def _servers(now: Second) -> Text:
    dots = Text.assemble(("● " * now.servers_ready, "green"), ("◐ " * now.servers_starting, "yellow"))
    dots.append("○ " * now.servers_draining, "dim")
    return dots.append(f" {now.servers_desired} ordered")


def requests(seconds: Sequence[Second]) -> Text:
    sent, ok = sum(round(s.rate_rps) for s in seconds), sum(s.ok for s in seconds)
    failed = sum(s.failed for s in seconds)
    counts = f"{sent:,} sent, {ok:,} ok, {seconds[-1].open} open, "
    return Text.assemble(counts, (f"{failed} failed", "bold red" if failed else ""))


def response(now: Second, scenario: Scenario) -> Text:
    if now.response_ms is None:
        return Text("no answers", "dim")
    colour = "green" if now.response_ms <= scenario.goal_ms else "bold red"
    return Text.assemble((f"{now.response_ms:.0f} ms", colour), f"  goal ≤ {scenario.goal_ms:.0f} ms")


def spark(values: Sequence[float]) -> str:
    most = max([*values, 1])
    return "".join(_BARS[math.ceil(value / most * (len(_BARS) - 1))] for value in values)


def response_bars(seconds: Sequence[Second], goal_ms: float) -> Text:
    values = [s.response_ms or 0.0 for s in seconds]
    bars = Text()
    for bar, value in zip(spark(values), values, strict=True):
        bars.append(bar, "green" if value <= goal_ms else "red")
    return bars


def _decisions(decisions: Sequence[Decision]) -> list[RenderableType]:
    """The last thing decided with its figures, and what was done before it."""
    if not decisions:
        return [Text("no decision yet", "dim")]
    last = decisions[-1]
    figures = ", ".join(f"{name} {value}" for name, value in sorted(last.inputs.items()))
    lines = [
        Text.assemble(("Decision  ", "bold"), f"{last.t_s:.0f} s: {last.message} — ", (last.reason, "cyan")),
        Text(f"          {figures}", "dim", overflow="ellipsis", no_wrap=True),
    ]
    earlier = [d for d in decisions[:-1] if d.action != "Hold"][-3:]
    lines += [Text(f"          {d.t_s:.0f} s: {d.message} — {d.reason}", "dim") for d in reversed(earlier)]
    return list(lines)
