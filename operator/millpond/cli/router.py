"""`millpond router`: becomes an Envoy that takes its routes from the operator."""

import json
import os
import tempfile
from pathlib import Path

import click

from millpond.router.bootstrap import bootstrap
from millpond.router.process import arguments, supervised


@click.command()
@click.option("--name", required=True, help="This router's name, different from the others'.")
@click.option("--xds", required=True, help="The operator: unix:/path or host:port.")
@click.option("--listen", required=True, help="Where requests for apps come in: ip:port.")
@click.option(
    "--stats", required=True, help="Where GET /stats/prometheus is answered, and nothing else: ip:port."
)
@click.option(
    "--admin", type=click.Path(path_type=Path), help="Envoy's admin socket (mode 0600). [default: temporary]"
)
@click.option(
    "--concurrency", default=2, show_default=True, type=click.IntRange(1), help="Envoy's worker threads."
)
@click.option(
    "--drain-seconds",
    "drain_s",
    default=30,
    show_default=True,
    type=click.IntRange(0),
    help="How long SIGTERM waits for running requests; 0: not at all.",
)
@click.option(
    "--accept-seconds",
    "accept_s",
    default=5,
    show_default=True,
    type=click.IntRange(0),
    help="How long after SIGTERM new connections are still taken, until clients have noticed.",
)
@click.option(
    "--reuse-port",
    is_flag=True,
    help="Share --listen with another router that has this flag, to take over from it without a gap. "
    "Name and --stats must differ.",
)
def router(
    name: str,
    xds: str,
    listen: str,
    stats: str,
    admin: Path | None,
    concurrency: int,
    drain_s: int,
    accept_s: int,
    reuse_port: bool,
) -> None:
    """Run a router (Envoy) that takes its routes from the operator.

    It listens once it has its first configuration and keeps its last one while the operator is away. SIGTERM ends it
    without cutting a request: clients are told to close their connections, and it waits until none of their requests
    runs. Streams that go on for longer than --drain-seconds are cut. A second SIGTERM, or SIGINT, ends it at once.
    """
    folder = Path(tempfile.mkdtemp(prefix="millpond-router-"))
    config, socket = folder / "envoy.json", (admin or folder / "admin.sock").absolute()
    made = bootstrap(name=name, xds=xds, listen=listen, stats=stats, admin=socket, reuse_port=reuse_port)
    config.write_text(json.dumps(made))
    command = arguments(config, concurrency=concurrency)
    if drain_s:
        command = supervised(command, admin=socket, listen=listen, accept_s=accept_s, drain_s=drain_s)
    os.execv(command[0], list(command))
