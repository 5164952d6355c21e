"""How a verb of `rollout` reaches its app, and how it ends when it is refused."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from millpond.cli.releases import Releases
from millpond.cli.rollout.edits import EditRefused
from millpond.cli.rollout.template import TemplateError
from millpond.cli.target import Target

T = TypeVar("T")


def run(target: Target, app: str, task: Callable[[Releases], Awaitable[T]]) -> T:
    """What ``task`` returns; its errors end the program with one line and exit code 1."""
    try:
        return target.run(lambda api: task(Releases(api, target.namespace, app)))
    except EditRefused as refused:
        raise click.ClickException(f"{target.namespace}/{app}: {refused}") from refused
    except TemplateError as error:
        raise click.UsageError(str(error)) from error
