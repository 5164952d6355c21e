"""`millpond router`: becomes an Envoy that takes its routes from the operator."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from millpond.router.addresses import listening, spelled
from millpond.router.envoy.limits import Limits, heap_bytes
from millpond.router.envoy.listeners import Edge
from millpond.router.process.envoy import arguments, configure, supervised
from millpond.router.trust.certificates import find
from millpond.router.trust.tls import FILES, check_files, plain_allowed

_USUAL = Limits()


@click.command()
@click.option("--name", required=True, help="This router's name, different from the others'.")
@click.option(
    "--xds",
    required=True,
    help="The operator: unix:/path or host:port. Where several stand by for each other, all of them with commas "
    "between: the router finds the one that leads.",
)
@click.option(
    "--tls-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with ca.crt, tls.crt and tls.key, as the Secret millpond-xds-router has them. "
    "Renewed files are taken up when they are renamed into it (mv, not cp).",
)
@click.option(
    "--listen",
    required=True,
    help="Where requests for apps come in: ip:port. [::]:port is for IPv4 and IPv6, and for IPv4 alone where there is "
    "no IPv6.",
)
@click.option("--listen-tls", help="Where they come in by TLS as well: ip:port. Needs --certificates.")
@click.option(
    "--certificates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with one folder for each certificate, with tls.crt and tls.key, as Secrets of type "
    "kubernetes.io/tls have them. Clients get the one with the name that they ask for. Renewed files are taken up when "
    "they are renamed into place.",
)
@click.option(
    "--trusted-hops",
    default=0,
    show_default=True,
    type=click.IntRange(0, 100),
    help="How many proxies in front of the router to believe about clients (x-forwarded-*). 0: nobody; what clients "
    "say about it is taken away.",
)
@click.option(
    "--stats",
    required=True,
    help="Where GET /stats/prometheus is answered, and for probes GET /healthz and /readyz: ip:port.",
)
@click.option(
    "--admin", type=click.Path(path_type=Path), help="Envoy's admin socket (mode 0600). [default: temporary]"
)
@click.option(
    "--concurrency", default=2, show_default=True, type=click.IntRange(1), help="Envoy's worker threads."
)
@click.option(
    "--max-connections",
    default=_USUAL.connections,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="How many connections clients may have, all together; further ones are closed at once. Each takes about "
    "100 KiB of memory if its client reads no answers.",
)
@click.option(
    "--max-heap-mib",
    default=0,
    type=click.IntRange(0),
    help="How much memory the router may use; near it, it takes no new connections, and at last no new requests. "
    "[default: three quarters of what its container may have, or the machine has]",
)
@click.option(
    "--idle-seconds",
    "idle_s",
    default=_USUAL.idle_s,
    show_default=True,
    type=click.IntRange(1, 86_400),
    help="How long a client's connection may be without a request. Longer than load balancers in front keep theirs.",
)
@click.option(
    "--headers-seconds",
    "headers_s",
    default=_USUAL.headers_s,
    show_default=True,
    type=click.IntRange(1, 3600),
    help="How long a client may take to send a request's headers, and for a TLS handshake.",
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
    help="Share --listen and --listen-tls with another router that has this flag, to take over from it without a gap. "
    "Name and --stats must differ.",
)
def router(
    name: str,
    xds: str,
    tls_dir: Path | None,
    listen: str,
    listen_tls: str | None,
    certificates: Path | None,
    trusted_hops: int,
    stats: str,
    admin: Path | None,
    concurrency: int,
    max_connections: int,
    max_heap_mib: int,
    idle_s: int,
    headers_s: int,
    drain_s: int,
    accept_s: int,
    reuse_port: bool,
) -> None:
    """Run a router (Envoy) that takes its routes from the operator.

    It listens once it has its first configuration and keeps its last one while the operator is away. SIGTERM ends it
    without cutting a request: clients are told to close their connections, and it waits until none of their requests
    runs. Streams that go on for longer than --drain-seconds are cut. A second SIGTERM, or SIGINT, ends it at once.
    """
    _check(xds, tls_dir)
    edge = Edge(
        listen=listening(listen),
        listen_tls=listening(listen_tls) if listen_tls else None,
        certificates=_certificates(listen_tls, certificates),
        trusted_hops=trusted_hops,
        limits=Limits(
            connections=max_connections,
            heap_bytes=max_heap_mib << 20 or heap_bytes(),
            idle_s=idle_s,
            headers_s=headers_s,
        ),
        reuse_port=reuse_port,
    )
    folder = Path(tempfile.mkdtemp(prefix="millpond-router-"))
    socket = (admin or folder / "admin.sock").absolute()
    config = configure(folder, name=name, xds=xds, edge=edge, stats=spelled(stats), admin=socket, tls=tls_dir)
    command = arguments(config, concurrency=concurrency)
    if drain_s:
        command = supervised(command, admin=socket, listen=edge.addresses, accept_s=accept_s, drain_s=drain_s)
    os.execv(command[0], list(command))


def _check(xds: str, tls_dir: Path | None) -> None:
    """The way to the operator is its own machine's or has TLS."""
    operators = xds.split(",")
    unix = [operator for operator in operators if operator.startswith("unix:")]
    if unix and len(unix) < len(operators):
        raise click.UsageError(f"--xds {xds}: either sockets (unix:/path) or addresses (host:port), not both")
    if tls_dir is None:
        if not all(map(plain_allowed, operators)):
            raise click.UsageError(
                f"--xds {xds} is on another machine: --tls-dir is needed ({', '.join(FILES)})"
            )
    elif unix:
        raise click.UsageError("--tls-dir is for --xds host:port: a unix socket has no TLS")
    else:
        try:
            check_files(tls_dir)
        except (OSError, ValueError) as error:
            raise click.UsageError(f"--tls-dir: {error}") from error


def _certificates(listen_tls: str | None, folder: Path | None) -> Sequence[Path]:
    """Those that can be shown. One that can't is told of and left out, unless there is no other."""
    if listen_tls is None and folder is None:
        return ()
    if listen_tls is None or folder is None:
        raise click.UsageError("--listen-tls and --certificates need each other")
    good, wrong = find(folder)
    for problem in wrong:
        click.echo(f"this certificate is left out until the router is started again: {problem}", err=True)
    if not good:
        raise click.UsageError(
            f"--certificates: {folder} has no folder with a tls.crt and a tls.key that fit"
        )
    return good
