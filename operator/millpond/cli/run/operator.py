"""`millpond operator`: the operator process."""

import asyncio
import logging
import re
from pathlib import Path

import click

from millpond.api.hosts import patterns
from millpond.api.names import NAMESPACE
from millpond.cli.run import lines
from millpond.kube.errors import ApiError
from millpond.lead.settings import Settings
from millpond.router.trust.tls import plain_allowed

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _names(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Each once; BadParameter for what cannot be a namespace."""
    for value in values:
        if not _NAME.fullmatch(value):
            raise click.BadParameter(
                f"{value!r}: must be the name of one namespace, such as shop; repeat the option for more"
            )
    return tuple(dict.fromkeys(values))


def _hosts(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns in their one spelling; BadParameter for what is none."""
    good, wrong = patterns(",".join(values))
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r}: must be a host, *.name or *, such as *.apps.example")
    return good


@click.command()
@click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: in-cluster."
)
@click.option(
    "--xds",
    default="0.0.0.0:18000",
    show_default=True,
    help="Where routers connect: unix:/path, or host:port by mutual TLS. The certificates are kept in the Secrets "
    "millpond-xds-ca and millpond-xds-router; routers need the latter.",
)
@click.option(
    "--xds-name",
    "xds_names",
    multiple=True,
    help="A host name or address that routers use for the operator, besides those of its Service and of this machine.",
)
@click.option("--xds-insecure", is_flag=True, help="No TLS: for a loopback address only.")
@click.option(
    "--health", default="0.0.0.0:8080", show_default=True, help="host:port of /healthz, /readyz and /metrics."
)
@click.option("--prometheus", help="Base URL of Prometheus. Without it, scaling goes by the routers alone.")
@click.option(
    "--namespace",
    default=NAMESPACE,
    envvar="POD_NAMESPACE",
    show_default=True,
    show_envvar=True,
    help="Where Lease and Secrets are.",
)
@click.option(
    "--pod",
    envvar="POD_NAME",
    show_envvar=True,
    help="The name of its own pod, which is labelled millpond.dev/leader=true while it leads. Default: it is no pod.",
)
@click.option(
    "--watch-namespace",
    "watch_namespaces",
    multiple=True,
    metavar="NAMESPACE",
    callback=_names,
    help="See to the apps of this namespace only; may be given several times. It needs no right to read or write "
    "in others, and writes no status of pools. A namespace that does not exist yet is waited for.",
)
@click.option(
    "--default-hosts",
    multiple=True,
    default=("*",),
    show_default=True,
    metavar="PATTERNS",
    callback=_hosts,
    help="Hosts that apps may claim in a namespace without the annotation millpond.dev/hosts: names, *.name, or * for "
    "any, with commas between them; may be given several times. Wildcard hosts need the annotation. Empty: none.",
)
@click.option(
    "--watch-stuck-s",
    type=click.FloatRange(min=3),
    default=120.0,
    show_default=True,
    help="/healthz is red when a watch gave no sign of life for so long.",
)
@click.option(
    "--cycle-stuck-s",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    help="/healthz is red when the cycle did not come round for so long.",
)
@click.option(
    "--lost-after-s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="A router that is cut off and does not answer at its statistics address for so long counts as lost: nothing "
    "waits for it any more. Of one that is a pod of the chart, Kubernetes' view of the pod decides.",
)
@click.option(
    "--log-format",
    type=click.Choice(lines.FORMATS),
    default="text",
    show_default=True,
    help="text, or one JSON object a line. Each verdict that is acted on is a line: app, edition, verdict, reason, "
    "needed, from, to.",
)
@click.option("--verbose", is_flag=True, help="Log more.")
def operator(
    kubeconfig: Path | None,
    xds: str,
    xds_names: tuple[str, ...],
    xds_insecure: bool,
    health: str,
    prometheus: str | None,
    namespace: str,
    pod: str | None,
    watch_namespaces: tuple[str, ...],
    default_hosts: tuple[str, ...],
    watch_stuck_s: float,
    cycle_stuck_s: float,
    lost_after_s: float,
    log_format: str,
    verbose: bool,
) -> None:
    """Run the operator until it is told to stop.

    Several may run: one holds the Lease, listens for routers and decides; the others stand by, ready to take over. Give
    each an --xds of its own, and routers all of them, or a name that leads to the one with the Lease.
    """
    if xds_insecure and not plain_allowed(xds):
        raise click.UsageError(
            f"--xds-insecure is for this machine only, such as --xds 127.0.0.1:18000; {xds} can be reached from others"
        )
    host, _, port = health.rpartition(":")
    if not port.isdecimal():
        raise click.BadParameter(
            f"{health!r}: must be host:port, such as 127.0.0.1:8080", param_hint="--health"
        )
    lines.begin(log_format, logging.DEBUG if verbose else logging.INFO)
    for name in ("kopf", "asyncio", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from millpond.lead.bootstrap import Operator  # the parts take a second to load: not for --help

    settings = Settings(
        kubeconfig=kubeconfig,
        xds=xds,
        xds_names=xds_names,
        xds_insecure=xds_insecure,
        health_host=host,
        health_port=int(port),
        prometheus_url=prometheus,
        namespace=namespace,
        pod=pod or None,
        watch_namespaces=watch_namespaces,
        default_hosts=default_hosts,
        watch_stuck_s=watch_stuck_s,
        cycle_stuck_s=cycle_stuck_s,
        lost_after_s=lost_after_s,
    )
    try:
        asyncio.run(Operator(settings).run())
    except ApiError as error:
        raise click.ClickException(str(error)) from error
