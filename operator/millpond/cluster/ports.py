"""The ports that a control plane listens on."""

import random
import socket
from collections.abc import Collection

from millpond.cluster.errors import ClusterError

USES = ("etcd", "peer", "apiserver")
_RANGE = range(20_000, 32_000)  # below the range from which Linux takes ports of outgoing connections
_ATTEMPTS = 200


def complete(ports: dict[str, int]) -> None:
    """A free port for every use: the one that it has, or else a random one."""
    for use in USES:
        if use not in ports or not _is_free(ports[use]):
            ports[use] = free_port(ports.values())


def free_port(taken: Collection[int] = ()) -> int:
    """A TCP port on 127.0.0.1 that is free now and not in `taken`."""
    for port in random.sample(_RANGE, _ATTEMPTS):
        if port not in taken and _is_free(port):
            return port
    raise ClusterError(f"no free port found on 127.0.0.1 between {_RANGE.start} and {_RANGE.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
