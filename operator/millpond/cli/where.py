"""The options that say which cluster and namespace: every verb has them, and they mean what they mean to kubectl."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from millpond.cli.shell import complete
from millpond.cli.target import Target

Command = Callable[..., None]

the_app = click.argument("app", shell_complete=complete.apps)
_OPTIONS = (
    click.option(
        "--kubeconfig", type=click.Path(path_type=Path), help="[default: $KUBECONFIG, ~/.kube/config]"
    ),
    click.option("--context", shell_complete=complete.contexts, help="[default: the current context]"),
    click.option(
        "-n",
        "--namespace",
        shell_complete=complete.namespaces,
        help="[default: the context's, as with kubectl]",
    ),
)


def where(command: Command) -> Command:
    """Adds the options; the command gets what they say as ``target``."""

    @wraps(command)
    def located(
        *args: Any, kubeconfig: Path | None, context: str | None, namespace: str | None, **options: Any
    ) -> None:
        command(*args, target=Target.of(kubeconfig, context, namespace), **options)

    for option in _OPTIONS:
        option(located)
    return located
