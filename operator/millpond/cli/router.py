"""`millpond router`: becomes an Envoy that takes its routes from the operator."""

import json
import os
import tempfile
from pathlib import Path

import click

from millpond.router.bootstrap import bootstrap
from millpond.router.process import arguments


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
def router(name: str, xds: str, listen: str, stats: str, admin: Path | None, concurrency: int) -> None:
    """Run a router (Envoy) that takes its routes from the operator.

    It listens once it has its first configuration and keeps its last one while the operator is away. SIGTERM ends it at
    once; to end it without cutting requests, POST /drain_listeners?graceful to its admin socket first.
    """
    folder = Path(tempfile.mkdtemp(prefix="millpond-router-"))
    config = folder / "envoy.json"
    made = bootstrap(name=name, xds=xds, listen=listen, stats=stats, admin=admin or folder / "admin.sock")
    config.write_text(json.dumps(made))
    command = arguments(config, concurrency=concurrency)
    os.execv(command[0], list(command))
