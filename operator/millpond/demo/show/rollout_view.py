"""How a run with rollouts looks while it goes on: editions with servers and share, how far the rollout is, and why."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from millpond.demo.recording import Decision, EditionSecond, Moment, Second
from millpond.demo.scenario import Scenario
from millpond.demo.show import view

COLOURS = ("blue", "green", "red", "magenta", "yellow")
_BAR = 24
_SPARK = 46


def choose(scenario: Scenario, console: Console, *, plain: bool = False) -> view.View:
    if plain or not console.is_terminal:
        return Lines(scenario, console)
    return view.Panels(scenario, console, render)


class Lines(view.Lines):
    """For logs: the state every five seconds; commands, and how rollouts go on, at once."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        super().__init__(scenario, console, line)
        self._commands: Sequence[str] = ()
        self._moment: Moment | None = None

    def show(self, seconds: Sequence[Second], decisions: Sequence[Decision]) -> None:
        now = seconds[-1]
        for command in now.commands:
            if command not in self._commands:
                self._print(f"{now.t_s + 1:5d} s  $ {command}")
        if now.rollout is not None and now.rollout != self._moment:
            self._print(f"{now.rollout.t_s:5.0f} s  {_stand(now.rollout)}: {_because(now.rollout)}")
        self._commands, self._moment = now.commands, now.rollout
        super().show(seconds, ())  # what is decided about single servers would hide the rollout


def line(now: Second, scenario: Scenario) -> str:
    response = "     –" if now.response_ms is None else f"{now.response_ms:6.0f}"
    editions = ", ".join(f"{n} {_counts(e)} {_percent(now, n)}" for n, e in now.editions.items())
    return (
        f"{now.t_s + 1:5d} s  {now.rate_rps:4.0f} requests/s  {response} ms (goal {scenario.goal_ms:.0f})  "
        f"{editions}  failed {now.failed}"
    )


def _counts(edition: EditionSecond) -> str:
    more = (f"+{edition.starting}" if edition.starting else "") + (
        f"−{edition.draining}" if edition.draining else ""
    )
    return f"{edition.ready}{more} servers"


def _percent(now: Second, edition: str) -> str:
    return f"{100 * now.share(edition):.0f} %"


def _stand(moment: Moment) -> str:
    way = f"{moment.origin} → {moment.edition}  {moment.strategy}  {moment.phase}"
    return f"{way}, step {moment.step} of {moment.steps}, {moment.weight} % of the new sessions"


def _because(moment: Moment) -> str:
    return f"{moment.reason}: {moment.message}" if moment.message else moment.reason


def render(scenario: Scenario, seconds: Sequence[Second], decisions: Sequence[Decision]) -> RenderableType:
    now, recent = seconds[-1], seconds[-_SPARK:]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", min_width=9)
    grid.add_column(min_width=26)
    grid.add_column(no_wrap=True, min_width=_SPARK)
    for name, edition in now.editions.items():
        grid.add_row(f"  {name}", _servers(edition), _share(scenario, now, name))
    grid.add_row(
        "Load", f"{now.rate_rps:.0f} requests/s", Text(view.spark([s.rate_rps for s in recent]), "blue")
    )
    grid.add_row("Response", view.response(now, scenario), view.response_bars(recent, scenario.goal_ms))
    grid.add_row("Requests", view.requests(seconds), "")
    body = Group(grid, Text(), *_rollout(now))
    total_s = scenario.profile.duration_s
    subtitle = f"{now.t_s + 1} of about {total_s:.0f} s · Ctrl-C stops everything"
    return Panel(
        body,
        title=scenario.title,
        subtitle=subtitle,
        title_align="left",
        subtitle_align="right",
        padding=(1, 2),
    )


def _servers(edition: EditionSecond) -> Text:
    dots = Text.assemble(("● " * edition.ready, "green"), ("◐ " * edition.starting, "yellow"))
    dots.append("○ " * edition.draining, "dim")
    return dots.append(f" {_counts(edition)}")


def _share(scenario: Scenario, now: Second, name: str) -> Text:
    """Of the answers in this second, with their average response."""
    edition, colour = now.editions[name], colour_of(name, COLOURS)
    filled = round(_BAR * now.share(name))
    bar = Text.assemble(
        ("█" * filled, colour), ("░" * (_BAR - filled), "dim"), f" {_percent(now, name):>5}  "
    )
    if edition.response_ms is None:
        return bar
    within = edition.response_ms <= scenario.goal_ms
    return bar.append(f"{edition.response_ms:4.0f} ms", "green" if within else "bold red")


def colour_of(edition: str, colours: Sequence[str]) -> str:
    """The same for an edition wherever it is shown: v1, v2 … in this order."""
    number = int("".join(filter(str.isdigit, edition)) or 1)
    return colours[(number - 1) % len(colours)]


def _rollout(now: Second) -> list[RenderableType]:
    typed: list[RenderableType] = [
        Text(f"$ {command}", "dim", no_wrap=True, overflow="ellipsis") for command in now.commands
    ]
    if now.rollout is None:
        return typed or [Text("no rollout yet", "dim")]
    colour = {"Completed": "green", "RolledBack": "red", "RollingBack": "red"}.get(now.rollout.phase, "cyan")
    return [
        *typed,
        Text.assemble(("Rollout   ", "bold"), (_stand(now.rollout), colour)),
        Text.assemble(("Because   ", "bold"), (now.rollout.reason, "cyan"), f"  {now.rollout.message}"),
    ]
