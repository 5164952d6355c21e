"""`millpond`: the verbs, each loaded only when it is used, so that `millpond --help` is instant."""

from importlib import import_module
from importlib.util import find_spec

import click
from click.shell_completion import CompletionItem

from millpond.cli.verb import PLUGIN, Verbs

VERBS = {
    "cluster": ("millpond.cli.run.cluster:cluster", "Start and stop an embedded Kubernetes control plane."),
    "completion": ("millpond.cli.shell.completion:completion", "Print the completion script of a shell."),
    "demo": (
        "millpond.cli.run.demo:demo",
        "Show the main job on this machine, without Docker and without root.",
    ),
    "detach": (
        "millpond.cli.detach.command:detach",
        "Let servers go on without Millpond: the first step of removal.",
    ),
    "explain": ("millpond.cli.show.explain:explain", "Say why an app has the servers it has."),
    "get": ("millpond.cli.show.get:get", "Show apps, editions, pools or policies; follow how they change."),
    "node": ("millpond.cli.run.node:node", "Run a process node: pods as operating-system processes."),
    "operator": ("millpond.cli.run.operator:operator", "Run the operator."),
    "rollout": (
        "millpond.cli.rollout.commands:rollout",
        "Roll out editions, steer them, wait for the outcome.",
    ),
    "router": (
        "millpond.cli.run.router:router",
        "Run a router (Envoy) that takes its routes from the operator.",
    ),
    "status": ("millpond.cli.show.status:status", "Show an app on one page."),
}


LAPTOP = frozenset(("cluster", "demo", "node"))
"""Verbs that the image does not hold."""
_INSTALL = "it is for laptops: pip install 'millpond[demo]', or use a checkout"


class _Verbs(Verbs):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        if cmd_name in LAPTOP and find_spec("millpond.local") is None:
            raise click.ClickException(f"`millpond {cmd_name}` is not in the image: {_INSTALL}")
        module, attribute = VERBS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        if incomplete and not incomplete[0].isalnum():
            return super().shell_complete(ctx, incomplete)  # options
        return [
            CompletionItem(verb, help=VERBS[verb][1]) for verb in sorted(VERBS) if verb.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in sorted(VERBS)])


@click.command(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=(
        ("get", "the apps of the namespace"),
        ("status shop", "one page about shop"),
        ("explain shop", "why it has the servers it has"),
        ("rollout start shop --edition v2 --image shop:2", ""),
        ("rollout status shop --wait", "until it is done, with an exit code for pipelines"),
    ),
)
@click.version_option(package_name="millpond")
def main() -> None:
    """Elastic application servers for Kubernetes."""


def plugin() -> None:
    """The same as a plugin of kubectl, which finds `kubectl-millpond` on PATH."""
    main(prog_name=PLUGIN, complete_var="_MILLPOND_COMPLETE")
