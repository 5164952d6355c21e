"""`millpond cluster`: a real Kubernetes control plane and process nodes on this machine, without Docker or root."""

import shlex
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from millpond import paths
from millpond.local.cluster.embedded import Cluster, ClusterError, NodeSpec
from millpond.local.cluster.overview import Overview, delete, overview, overviews

_POOL = {"millpond.dev/pool": "default"}
_NOT_RUNNING = 3
_SAMPLE = {"millpond.dev/sample-app": [sys.executable, str(paths.examples() / "sample_app" / "app.py")]}


class _Verbs(click.Group):
    def invoke(self, context: click.Context) -> Any:
        """A ClusterError becomes one line and exit code 1."""
        try:
            return super().invoke(context)
        except ClusterError as error:
            raise click.ClickException(str(error)) from error


_name = click.option("--name", default="default", show_default=True, help="Which cluster.")


@click.group(cls=_Verbs)
def cluster() -> None:
    """Start and stop an embedded Kubernetes control plane.

    Its programs come from KUBEBUILDER_ASSETS, the PATH, the cache, the official releases, or are built from Go modules.
    """


@cluster.command()
@_name
@click.option("--nodes", type=click.IntRange(0, 50), help="How many nodes.  [default: as before, or 2]")
@click.option("--cpu", default="4", show_default=True, help="What each node offers, as Kubernetes writes it.")
@click.option("--memory", default="8Gi", show_default=True, help="What each node offers.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="NAME=COMMAND",
    help="What an image would start; the sample application is known.",
)
@click.option(
    "--audit/--no-audit", default=True, show_default=True, help="Keep an audit log of all requests."
)
@click.option(
    "--node-grace", default=16, show_default=True, metavar="SECONDS", help="When a silent node is lost."
)
def up(
    name: str, nodes: int | None, cpu: str, memory: str, images: tuple[str, ...], audit: bool, node_grace: int
) -> None:
    """Start a cluster that lives until `down`, with Millpond's custom resources and RBAC.

    Started again after `down` or a crash, it goes on with its data.
    """
    if nodes is None and (overview(name) is None or images):
        nodes = 2
    specs = None
    if nodes is not None:
        entrypoints = _SAMPLE | dict(_image(image) for image in images)
        specs = [
            NodeSpec(f"node-{number}", cpu=cpu, memory=memory, labels=_POOL, images=entrypoints)
            for number in range(1, nodes + 1)
        ]
    running = Cluster.start(
        name, foreground=False, nodes=specs, audit=audit, node_grace_s=node_grace, progress=_tell
    )
    running.install_chart()
    _tell(f"cluster {name} is ready at {running.server}")
    click.echo(f"export KUBECONFIG={running.kubeconfig}")


@cluster.command()
@click.option("--name", help="Only this one; exit code 3 when it isn't running.")
@click.pass_context
def status(context: click.Context, name: str | None) -> None:
    """Which clusters there are, and how they are."""
    known = overviews() if name is None else [_of(name)]
    table = Table("NAME", "STATE", "SERVER", "NODES", "PROCESSES", box=None, pad_edge=False)
    for seen in known:
        table.add_row(seen.name, seen.state, seen.server, ", ".join(seen.nodes), str(seen.processes))
    if known:
        Console().print(table)
    else:
        _tell("there are no clusters: `millpond cluster up` starts one")
    if name is not None and known[0].state != "running":
        context.exit(_NOT_RUNNING)


@cluster.command()
@_name
@click.option("--operator", is_flag=True, help="The operator's own identity, not the administrator's.")
def kubeconfig(name: str, operator: bool) -> None:
    """Print the path of a cluster's kubeconfig: export KUBECONFIG=$(millpond cluster kubeconfig)"""
    path = _of(name).kubeconfig("operator" if operator else "admin")
    if not path.exists():
        raise ClusterError(f"cluster {name} has no kubeconfig {path}: start it with `millpond cluster up`")
    click.echo(path)


@cluster.command()
@_name
@click.option("--delete", "deleting", is_flag=True, help="Delete its data as well.")
def down(name: str, deleting: bool) -> None:
    """Stop a cluster and everything that runs in it. Its data stay, unless --delete."""
    seen = _of(name)
    if seen.processes:
        Cluster.attach(name, progress=_tell).stop(delete=deleting)
    elif deleting:
        delete(name)
    _tell(f"cluster {name} is {'deleted' if deleting else 'stopped'}")


def _of(name: str) -> Overview:
    if (seen := overview(name)) is None:
        raise ClusterError(f"there is no cluster {name}: `millpond cluster status` shows those there are")
    return seen


def _image(text: str) -> tuple[str, list[str]]:
    name, _, command = text.partition("=")
    if not name or not command:
        raise ClusterError(f"--image {text!r}: it must be NAME=COMMAND, such as `web=python3 -m http.server`")
    return name, shlex.split(command)


def _tell(line: str) -> None:
    click.echo(line, err=True)
