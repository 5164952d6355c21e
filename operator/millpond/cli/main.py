"""`millpond`: the verbs, each loaded only when it is used, so that `millpond --help` is instant."""

from importlib import import_module

import click

VERBS = {
    "cluster": ("millpond.cli.cluster:cluster", "Start and stop an embedded Kubernetes control plane."),
    "demo": ("millpond.cli.demo:demo", "Show the main job on this machine, without Docker and without root."),
    "explain": ("millpond.cli.explain:explain", "Say why an app has the servers it has."),
    "node": ("millpond.cli.node:node", "Run a process node: pods as operating-system processes."),
    "operator": ("millpond.cli.operator:operator", "Run the operator."),
    "rollout": (
        "millpond.cli.rollout.commands:rollout",
        "Roll out editions, steer them, wait for the outcome.",
    ),
    "router": ("millpond.cli.router:router", "Run a router (Envoy) that takes its routes from the operator."),
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in sorted(VERBS)])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="millpond")
def main() -> None:
    """Elastic application servers for Kubernetes."""
