"""`millpond detach`: what is typed, asked and printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from millpond.api.names import NAMESPACE
from millpond.cli.detach.run import Run, Wish
from millpond.cli.detach.stopping import StillRuns
from millpond.cli.shell import complete
from millpond.cli.target import Target
from millpond.cli.where import where
from millpond.kube.client import Api

Raw = dict[str, Any]


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.command()
@click.argument("apps", nargs=-1, metavar="[APP]...", shell_complete=complete.apps)
@where
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="The apps of all namespaces.")
@click.option("--operator-namespace", default=NAMESPACE, show_default=True, help="Where the operator is.")
@click.option(
    "--save",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("millpond-detached"),
    show_default=True,
    help="Where the ElasticApps are kept, for those who come back.",
)
@click.option(
    "--drain-wait-s",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    help="How long servers that drain already may take until the operator is stopped all the same.",
)
@click.option("--no-operator", is_flag=True, help="There is none any more, wherever it was.")
@click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and print the Services; change nothing."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def detach(
    apps: tuple[str, ...],
    target: Target,
    everywhere: bool,
    operator_namespace: str,
    folder: Path,
    drain_wait_s: float,
    no_operator: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let servers go on without Millpond: the first step of removal.

    Stops the operator, makes plain ReplicaSets of the servers of all apps (or of those named, when no operator runs),
    and prints the Services that reach them, ready for `kubectl apply -f -`. No request is lost: the routers keep what
    they have until they are removed. May be repeated at any time.
    """
    if apps and everywhere:
        raise click.UsageError("name apps of one namespace, or give --all-namespaces: not both")
    home = None if no_operator else operator_namespace
    wish = Wish(apps, None if everywhere else target.namespace, home, folder, drain_wait_s)

    async def task(api: Api) -> Sequence[Raw]:
        try:
            return await Run(api, wish, _say).all(dry_run=dry_run, ask=None if yes else _ask)
        except StillRuns as error:
            raise click.ClickException(str(error)) from error

    services = target.run(task)
    if services:
        click.echo(yaml.safe_dump_all(services, sort_keys=False), nl=False)
        _say(_next(dry_run))


def _ask(question: str) -> None:
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort as error:
        raise click.ClickException(
            "not confirmed, so nothing was changed (where nobody can be asked: --yes)"
        ) from error


def _next(dry_run: bool) -> str:
    if dry_run:
        return "nothing was changed"
    return (
        "next: apply what was printed on standard output (`kubectl apply -f -`), point the Ingress at these Services, "
        "then `helm uninstall`: from then on no traffic goes through the routers"
    )
