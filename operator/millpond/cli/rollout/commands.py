"""The verbs. Each says in one line what it did, or what would be right instead."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from millpond.cli.releases import Edit, Releases
from millpond.cli.rollout import edits, view
from millpond.cli.rollout.access import run
from millpond.cli.rollout.outcome import judge
from millpond.cli.rollout.status import status
from millpond.cli.rollout.template import Template, TemplateError, load
from millpond.cli.target import Target
from millpond.cli.verb import Verbs
from millpond.cli.where import the_app, where
from millpond.kube.client import Object
from millpond_policies.world.strategy import Strategy

_output = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)

_emergency = click.option(
    "--emergency", default="", metavar="REASON", help="Wait for no change window and no approval; recorded."
)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=(
        ("rollout start shop --edition v2 --image shop:2", "the present template with another image"),
        ("rollout status shop --wait --timeout 10m", "0 done, 1 taken back, 3 waits for somebody"),
        ("rollout promote shop -n web --context prod", "leave the present step"),
        ("rollout undo shop", "back to the edition that served before"),
    ),
)
def rollout() -> None:
    """Roll out editions, steer them, and wait for the outcome.

    Every verb but status exits with 0 done, 1 refused or failed, 2 wrongly called; status has its own codes.
    """


rollout.add_command(status)


@rollout.command()
@the_app
@where
@click.option("--edition", required=True, help="Name of the new edition, such as v2.")
@click.option(
    "--image", "images", multiple=True, metavar="[CONTAINER=]IMAGE", help="May be given several times."
)
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), help="The pod template; - is stdin.")
@click.option("--strategy", type=click.Choice([s.value for s in Strategy]), help="[default: as it is]")
@click.option("--major/--no-major", default=None, help="Whether somebody else has to approve it.")
@_emergency
def start(
    app: str,
    target: Target,
    edition: str,
    images: tuple[str, ...],
    file: Path | None,
    strategy: str | None,
    major: bool | None,
    emergency: str,
) -> None:
    """Roll out a new edition of APP: the present template with other images, or another template."""
    wish = edits.Wish(
        edition=edition,
        images=images,
        template=_template(file),
        strategy=strategy,
        major=major,
        emergency=emergency,
    )

    async def task(releases: Releases) -> Edit:
        await releases.read()
        asked = replace(wish, kept=await releases.edition(edition))
        return await releases.change(lambda found: edits.start(found, asked))

    _report(target, app, task)


def _template(file: Path | None) -> Template | None:
    if file is None:
        return None
    try:
        with click.open_file(str(file)) as stream:
            return load(file, stream.read())
    except (OSError, UnicodeDecodeError, TemplateError) as error:
        raise click.UsageError(f"-f: {error}") from error


def _steer(target: Target, app: str, edit: Callable[[Object], Edit]) -> None:
    _report(target, app, lambda releases: releases.change(edit))


def _report(target: Target, app: str, task: Callable[[Releases], Any]) -> None:
    edit: Edit = run(target, app, task)
    click.echo(f"{target.namespace}/{app}: {edit.says}")


@rollout.command()
@the_app
@where
def pause(app: str, target: Target) -> None:
    """Leave the rollout of APP where it is."""
    _steer(target, app, edits.pause)


@rollout.command()
@the_app
@where
def resume(app: str, target: Target) -> None:
    """Let a paused rollout of APP go on."""
    _steer(target, app, edits.resume)


@rollout.command()
@the_app
@where
@click.option("--full", is_flag=True, help="All steps that are left, not only the present one.")
def promote(app: str, target: Target, full: bool) -> None:
    """Let the new edition of APP leave its present step, without pause and analysis."""
    _steer(target, app, lambda found: edits.promote(found, full=full))


@rollout.command()
@the_app
@where
def abort(app: str, target: Target) -> None:
    """Take the new edition of APP back; the old one goes on."""
    _steer(target, app, edits.abort)


@rollout.command()
@the_app
@where
@click.option("--to-edition", "to", help="[default: the one that served before]")
@_emergency
def undo(app: str, target: Target, to: str | None, emergency: str) -> None:
    """Roll APP back to an edition that is kept, with the template that it had."""

    async def task(releases: Releases) -> Edit:
        await releases.read()
        kept = await releases.editions()
        return await releases.change(lambda found: edits.undo(found, kept, to, emergency))

    _report(target, app, task)


@rollout.command()
@the_app
@where
@click.option("--reason", required=True, help="Why it may be rolled out; it is recorded.")
@click.option("--edition", help="[default: the one that spec names]")
def approve(app: str, target: Target, reason: str, edition: str | None) -> None:
    """Approve a major edition of APP, in your own name. Who rolls it out cannot do so."""

    async def task(releases: Releases) -> str:
        name, major = edition, True  # an approver may not be allowed to see the app
        if name is None:
            spec = (await releases.read())["spec"]
            name, major = spec["edition"], bool((spec.get("rollout") or {}).get("major"))
        edits.check_approvable(app, str(name), await releases.edition(str(name)), major=major)
        return f"{name} is approved by {await releases.approve(str(name), reason)}"

    if not reason.strip():
        raise click.UsageError("--reason must say something")
    click.echo(f"{target.namespace}/{app}: {run(target, app, task)}")


@rollout.command()
@the_app
@where
@_output
def history(app: str, target: Target, output: str) -> None:
    """List the editions of APP that are kept, newest first: `undo` goes back to any of them."""

    async def task(releases: Releases) -> list[Mapping[str, Any]]:
        await releases.read()
        return [_edition_row(edition) for edition in await releases.editions()]

    rows = run(target, app, task)
    if rows or output == "json":
        view.table(rows, output)
    else:
        click.echo(f"{app} has no edition yet: has the operator seen it?", err=True)


def _edition_row(edition: Object) -> Mapping[str, Any]:
    state, containers = edition.get("status") or {}, edition["spec"]["template"]["spec"]["containers"]
    given = edits.approval(edition)
    return {
        "edition": edition["spec"]["edition"],
        "state": state.get("state"),
        "servers": state.get("replicas"),
        "created": edition["metadata"]["creationTimestamp"],
        "images": ", ".join(str(c.get("image", "–")) for c in containers),
        "approved": f"{given.by}: {given.reason}" if given else None,
    }


@rollout.command(name="list")
@where
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@_output
def list_(target: Target, all_namespaces: bool, output: str) -> None:
    """List the apps with the rollouts they are in."""

    async def task(releases: Releases) -> list[Mapping[str, Any]]:
        return [_app_row(app) for app in await releases.apps(everywhere=all_namespaces)]

    rows = run(target, "", task)
    if rows or output == "json":
        view.table(rows, output)
    else:
        click.echo("there are no apps", err=True)


def _app_row(app: Object) -> Mapping[str, Any]:
    told = judge(app)
    return {
        "namespace": told.namespace,
        "app": told.app,
        "serves": (app.get("status") or {}).get("edition"),
        "wanted": told.edition,
        "strategy": told.strategy,
        "phase": told.phase,
        "step": None if told.steps is None else f"{told.step}/{told.steps}",
        "weight": told.weight,
        "needs": told.needs,
        "reason": told.reason,
    }
