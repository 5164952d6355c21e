"""How a rollout looks: as text, as lines with time stamps for logs, live on a terminal, as JSON or YAML."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
import yaml
from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from millpond.cli.rollout.outcome import Exit, Outcome, to_do
from millpond.clock import Clock, from_rfc3339, now_s, rfc3339
from millpond.control.observe.headcount import Servers

_VERDICTS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed",
    Exit.PERSON: "waits for a person",
    Exit.GOING_ON: "still going on",
}
_COLOURS = {Exit.DONE: "green", Exit.FAILED: "bold red", Exit.PERSON: "yellow", Exit.GOING_ON: "cyan"}


def tell(told: Outcome, output: str) -> None:
    """The final word, on stdout."""
    if output == "json":
        click.echo(json.dumps(told.as_json(), ensure_ascii=False))
    elif output == "yaml":
        click.echo(yaml.safe_dump(dict(told.as_json()), sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(as_text(told))


def as_text(told: Outcome) -> str:
    lines = [f"{told.namespace}/{told.app}  {_editions(told)}: {_VERDICTS[told.exit]}"]
    if told.phase:
        lines.append(f"  phase    {told.phase}{_of_strategy(told)}")
    if told.steps is not None:
        lines.append(f"  step     {_step(told)}")
    lines.append(f"  because  {because(told)}")
    if told.until:
        lines.append(f"  until    {told.until}")
    if to_do(told):
        lines.append(f"  to do    {to_do(told)}")
    return "\n".join(lines)


def _editions(told: Outcome) -> str:
    return f"{told.origin} → {told.edition}" if told.origin else str(told.edition or "?")


def _of_strategy(told: Outcome) -> str:
    return f" ({told.strategy})" if told.strategy else ""


def _step(told: Outcome) -> str:
    return f"{told.step} of {told.steps}, {told.weight} % of new sessions"


def because(told: Outcome) -> str:
    return ": ".join(part for part in (told.reason, told.message) if part) or "unknown"


class Lines:
    """For logs: a line with a time stamp whenever something changed."""

    def __init__(self, echo: Callable[[str], None], clock: Clock = now_s) -> None:
        self._echo = echo
        self._clock = clock
        self._last = ""

    def show(self, told: Outcome) -> None:
        line = as_line(told)
        if line != self._last:
            self._echo(f"{rfc3339(self._clock())}  {line}")
            self._last = line


def as_line(told: Outcome) -> str:
    parts = [f"{told.namespace}/{told.app}", _editions(told)]
    if told.phase:
        parts.append(told.phase)
    if told.steps is not None:
        parts.append(f"step {_step(told)}")
    parts += [because(told), to_do(told)]
    return "  ".join(part for part in parts if part)


class Panels:
    """For a terminal. ``servers``: of each edition, as they are now; empty when they may not be seen."""

    def __init__(
        self, live: Live, servers: Callable[[], Mapping[str, Servers]], clock: Clock = now_s
    ) -> None:
        self._live = live
        self._servers = servers
        self._clock = clock

    def show(self, told: Outcome) -> None:
        self._live.update(render(told, self._servers(), self._clock()), refresh=True)


def render(told: Outcome, servers: Mapping[str, Servers], at_s: float) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", min_width=9)
    grid.add_column()
    grid.add_row("Phase", Text(f"{told.phase or 'not known yet'}{_of_strategy(told)}", _COLOURS[told.exit]))
    if told.weight is not None:
        grid.add_row("Sessions", Bar(100, 0, told.weight, width=40, color="green"))
        grid.add_row("Step", _step(told) + _time_in_step(told, at_s))
    for edition, count in sorted(servers.items()):
        mark = "→ " if edition == told.edition else "  "
        grid.add_row("Servers", Text.assemble(f"{mark}{edition:<10} ", _dots(count)))
    grid.add_row("Because", escape(because(told)))
    if told.until:
        grid.add_row("Until", told.until)
    if to_do(told):
        grid.add_row("To do", Text(to_do(told), "yellow"))
    title = f"{told.namespace}/{told.app}  {_editions(told)}"
    return Panel(
        Group(grid), title=title, title_align="left", padding=(1, 2), subtitle="Ctrl-C stops watching"
    )


def _time_in_step(told: Outcome, at_s: float) -> str:
    if not told.step_at:
        return ""
    return f", for {max(0.0, at_s - from_rfc3339(told.step_at)):.0f} s"


def _dots(count: Servers) -> Text:
    dots = Text.assemble(("● " * count.ready, "green"), ("◐ " * count.starting, "yellow"))
    dots.append("○ " * count.draining, "dim")
    return dots.append(f"{count.ready} ready, {count.starting} starting, {count.draining} draining")


def is_terminal(to_stderr: bool) -> bool:
    """Asked of the stream itself: CI systems set variables that promise colours."""
    return (sys.stderr if to_stderr else sys.stdout).isatty()


def table(rows: list[Mapping[str, Any]], output: str) -> None:
    """Rows with the same keys, as a table with the keys as headings, or as one JSON list."""
    if output == "json":
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    shown = Table(*(key.upper() for key in rows[0]), box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*("–" if value in (None, "") else escape(str(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(shown, highlight=False)
