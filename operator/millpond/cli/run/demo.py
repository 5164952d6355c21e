"""`millpond demo [SCENARIO]`: the main job on this machine, with everything real."""

import sys
from importlib.util import find_spec
from pathlib import Path

import click

_LOG_WIDTH = 140
_NO_PICTURES = "matplotlib, which draws the timeline, is not installed: pip install 'millpond[demo]'"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", default="surge")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Where the timeline goes [out/demo-SCENARIO.png]."
)
@click.option("--report", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option(
    "--speed",
    type=float,
    help="Hold each rate for 1/SPEED of its time; the rates, and what the operator needs to learn them, stay. "
    "A rollout takes the time that its steps and sessions take.",
)
@click.option(
    "--duration", "duration_s", type=float, help="Load for about so many seconds altogether; the rates stay."
)
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, until Ctrl-C.")
@click.option(
    "--on",
    "place",
    type=click.Choice(["here", "kind"]),
    default="here",
    show_default=True,
    help="kind: on a kind cluster, from the chart and the image. Needs docker or podman, kind, kubectl and helm.",
)
@click.option(
    "--kind-cluster", metavar="NAME", help="With --on kind: not a new cluster but this one, which stays."
)
@click.option("--plain", is_flag=True, help="Lines instead of the live view, as without a terminal.")
def demo(
    scenario: str,
    picture: Path | None,
    report: Path | None,
    speed: float | None,
    duration_s: float | None,
    keep: bool,
    place: str,
    kind_cluster: str | None,
    plain: bool,
) -> None:
    """Show the main job on this machine: control plane, routers, operator and load, all real.

    \b
    surge    the load rises and falls, and servers follow
    rollout  editions swap under load with sessions: a canary, a sick one that is taken back, an undo

    On kind everything is deleted at the end, also after Ctrl-C; a cluster that was there gets back to what it was.
    KIND_NODE_IMAGE names the nodes' image.

    Ends with a picture of the timeline and a table of checks; exit code 0 only when all of them pass.
    """
    if find_spec("matplotlib") is None:
        raise click.ClickException(_NO_PICTURES)
    from rich.console import Console

    from millpond.demo.run import Options, run
    from millpond.demo.scenario import Scenario, load
    from millpond.demo.stage.stack import StackError
    from millpond.local.errors import ClusterError

    def chosen() -> Scenario:
        if speed is not None and duration_s is not None:
            raise ValueError("--speed and --duration exclude each other")
        if kind_cluster and place != "kind":
            raise ValueError("--kind-cluster is for --on kind")
        found = load(scenario)
        found = found if speed is None else found.at_speed(speed)
        return found if duration_s is None else found.lasting(duration_s)

    try:
        options = Options(
            picture=picture or Path("out") / f"demo-{scenario}.png",
            report=report,
            keep=keep,
            plain=plain,
            on_kind=place == "kind",
            kind_cluster=kind_cluster,
        )
        passed = run(chosen(), options, Console(width=None if sys.stdout.isatty() else _LOG_WIDTH))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except (StackError, ClusterError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if passed else 1)
