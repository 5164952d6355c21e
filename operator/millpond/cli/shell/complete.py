"""What the shell offers after TAB: names from the kubeconfig and from the cluster. Silent when it cannot know."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import click

from millpond.cli.shell.contexts import Contexts, asked_for, files
from millpond.cli.target import Target
from millpond.kube import paths
from millpond.kube.errors import ApiError

PATIENCE_S = 2.0  # longer than this nobody waits after TAB


def contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    found = Contexts.of(files(asked_for(ctx.params.get("kubeconfig"))))
    return sorted(name for name in found.namespaces if name.startswith(incomplete))


def namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return names(ctx.params, lambda _: paths.namespaces(), incomplete)


def apps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return names(ctx.params, lambda target: paths.elasticapps(target.namespace), incomplete)


def names(params: Mapping[str, Any], path: Callable[[Target], str], incomplete: str) -> list[str]:
    """Of the objects at ``path`` that begin as typed; ``params``: the options that were typed already."""
    with suppress(click.ClickException, ApiError, TimeoutError):
        target = Target.of(params.get("kubeconfig"), params.get("context"), params.get("namespace"))
        listed = target.connected(lambda api: api.list(path(target)))
        objects = asyncio.run(asyncio.wait_for(listed, PATIENCE_S)).objects
        return sorted(o["metadata"]["name"] for o in objects if o["metadata"]["name"].startswith(incomplete))
    return []
