"""`millpond rollout status`: how a rollout stands, at once or at its end, as an exit code."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from rich.console import Console
from rich.live import Live

from millpond.api.durations import seconds
from millpond.cli.releases import Releases
from millpond.cli.rollout import view
from millpond.cli.rollout.access import run
from millpond.cli.rollout.outcome import Exit, Outcome
from millpond.cli.rollout.servers import watched
from millpond.cli.rollout.waiting import View, Wait, guarded, now
from millpond.cli.target import Target
from millpond.cli.verb import Verb
from millpond.cli.where import the_app, where

DEFAULT_TIMEOUT = "10m"
INTERRUPTED = 130


@click.command(cls=Verb)
@the_app
@where
@click.option("--wait", is_flag=True, help="Wait for the end.")
@click.option("--timeout", help=f"How long to wait at most, such as 90s or 1h.  [default: {DEFAULT_TIMEOUT}]")
@click.option("--wait-for-people", is_flag=True, help="Go on waiting while somebody has to act.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True
)
@click.option("--plain", is_flag=True, help="Lines instead of the live view, as without a terminal.")
def status(
    app: str,
    target: Target,
    wait: bool,
    timeout: str | None,
    wait_for_people: bool,
    output: str,
    plain: bool,
) -> None:
    """Say how the rollout of APP stands; with --wait, when it has come to its end.

    \b
    Exit codes:
      0    done: the edition that spec names serves
      1    failed, aborted, rolled back, or there is no such app
      3    waits for a person or for a change window: the output says what to do
      124  still going on, or --timeout ran out
    """
    if not wait and (timeout or wait_for_people):
        raise click.UsageError(
            f"{'--timeout' if timeout else '--wait-for-people'} makes sense only with --wait"
        )
    timeout_s = _seconds(timeout or DEFAULT_TIMEOUT)
    try:
        told = (
            _waited(target, app, timeout_s, wait_for_people, output, plain) if wait else run(target, app, now)
        )
    except click.ClickException as error:
        told = Outcome(exit=Exit.FAILED, namespace=target.namespace, app=app, message=error.message)
        if output == "text":
            raise
        click.echo(f"Error: {error.message}", err=True)
    view.tell(told, output)
    sys.exit(int(told.exit))


def _seconds(timeout: str) -> float:
    try:
        return seconds(timeout)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from error


def _waited(
    target: Target, app: str, timeout_s: float, for_people: bool, output: str, plain: bool
) -> Outcome:
    nothing = Outcome(
        exit=Exit.GOING_ON, namespace=target.namespace, app=app, message="the API server has not answered yet"
    )
    waits: list[Wait] = []

    async def task(releases: Releases) -> Outcome:
        async with _viewed(releases, output != "text", plain) as shown:
            wait = Wait(releases, timeout_s, for_people, shown, nothing)
            waits.append(wait)
            told = await wait.run()
            shown.show(told)
            return told

    def last_word() -> None:
        view.tell(waits[0].timed_out() if waits else nothing, output)
        sys.stdout.flush()

    try:
        with guarded(timeout_s, last_word):
            return run(target, app, task)
    except KeyboardInterrupt:
        click.echo("no longer waiting; the rollout goes on by itself", err=True)
        sys.exit(INTERRUPTED)


@asynccontextmanager
async def _viewed(releases: Releases, to_stderr: bool, plain: bool) -> AsyncIterator[View]:
    """Where the progress goes: to stderr when stdout is for a program."""
    if plain or not view.is_terminal(to_stderr):
        yield view.Lines(lambda line: click.echo(line, err=to_stderr))
        return
    with Live(console=Console(stderr=to_stderr), auto_refresh=False, transient=True) as live:
        async with watched(releases) as servers:
            yield view.Panels(live, servers)
