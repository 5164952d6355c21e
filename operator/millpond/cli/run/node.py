"""`millpond node`: one process node."""

import asyncio
import json
import logging
import signal
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

import click

from millpond.clock import now_s
from millpond.local.node import agent
from millpond.local.node.config import NodeConfig, Serving
from millpond.local.node.pods import quantity

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--name", required=True, help="Name of the Node object.")
@click.option("--kubeconfig", required=True, type=_FILE, help="Identity system:node:NAME.")
@click.option("--state-dir", required=True, type=click.Path(path_type=Path), help="Logs and records of pods.")
@click.option("--addresses", required=True, help="This node's own block, e.g. 127.20.1.0/24.")
@click.option("--cpu", default="4", show_default=True, help="CPU that pods may request.")
@click.option("--memory", default="8Gi", show_default=True, help="Memory that pods may request.")
@click.option("--pods", default=110, show_default=True, help="The most pods at once.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label of the Node; repeatable.")
@click.option(
    "--image", "images", multiple=True, metavar="NAME=JSON", help="Entrypoint of an image as JSON argv."
)
@click.option("--serving-cert", type=_FILE, help="Certificate for logs and metrics.")
@click.option("--serving-key", type=_FILE)
@click.option("--client-ca", type=_FILE, help="CA of those who may read logs and metrics.")
@click.option("--restart-backoff", default=10.0, show_default=True, help="Seconds before a second restart.")
def node(
    name: str, kubeconfig: Path, state_dir: Path, addresses: str, cpu: str, memory: str, pods: int,
    labels: tuple[str, ...], images: tuple[str, ...], serving_cert: Path | None, serving_key: Path | None,
    client_ca: Path | None, restart_backoff: float,
) -> None:  # fmt: skip
    """Run a process node: pods as operating-system processes.

    SIGTERM ends the agent only; pods keep running and the next agent with this state directory takes them over.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    files = (serving_cert, serving_key, client_ca)
    config = NodeConfig(
        name=name,
        state_dir=state_dir.resolve(),
        addresses=_block(addresses),
        cpu=_quantity(cpu),
        memory=_quantity(memory),
        pods=pods,
        labels=dict(_pair(label, "--label") for label in labels),
        images=dict(_image(image) for image in images),
        serving=_serving(*files),
        backoff_s=restart_backoff,
    )
    asyncio.run(_until_signalled(config, kubeconfig))


async def _until_signalled(config: NodeConfig, kubeconfig: Path) -> None:
    life = asyncio.current_task()
    assert life
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.cancel)
    with suppress(asyncio.CancelledError):
        await agent.run(config, kubeconfig, now_s)


def _block(text: str) -> IPv4Network:
    try:
        block = IPv4Network(text)
    except ValueError as e:
        raise click.BadParameter(f"{e}; e.g. 127.20.1.0/24", param_hint="--addresses") from e
    if not block.is_loopback or block.prefixlen > 29:
        raise click.BadParameter(f"{text}: must lie in 127.0.0.0/8, /29 or larger", param_hint="--addresses")
    return block


def _quantity(text: str) -> str:
    try:
        quantity.parse(text)
    except ValueError as e:
        raise click.BadParameter(str(e)) from e
    return text


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r}: must be KEY=VALUE", param_hint=option)
    return key, value


def _image(text: str) -> tuple[str, tuple[str, ...]]:
    name, argv = _pair(text, "--image")
    try:
        words = json.loads(argv)
    except ValueError as e:
        raise click.BadParameter(
            f"{text!r}: after NAME= must come a JSON list of words", param_hint="--image"
        ) from e
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise click.BadParameter(f"{text!r}: must be a JSON list of words", param_hint="--image")
    return name, tuple(words)


def _serving(cert: Path | None, key: Path | None, client_ca: Path | None) -> Serving | None:
    if cert and key and client_ca:
        return Serving(cert=cert, key=key, client_ca=client_ca)
    if cert or key or client_ca:
        raise click.UsageError("--serving-cert, --serving-key and --client-ca go together")
    return None
