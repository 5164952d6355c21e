"""Ports and loopback blocks that nobody else on this machine uses."""

import random
import socket
from collections.abc import Collection
from pathlib import Path

from millpond.cluster.errors import ClusterError

_PORTS = range(20_000, 32_000)  # below the range from which Linux takes ports of outgoing connections
_ATTEMPTS = 200


def free_port(taken: Collection[int] = ()) -> int:
    """A TCP port on 127.0.0.1 that is free now and not in `taken`."""
    for port in random.sample(_PORTS, _ATTEMPTS):
        if port not in taken and is_free(port):
            return port
    raise ClusterError(f"no free port found on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_block(taken: Collection[str]) -> str:
    """A block such as "127.83.7" (its 254 addresses) on which nothing listens and which is not in `taken`."""
    used = {*taken, *_blocks_in_use()}
    for _ in range(_ATTEMPTS):
        block = f"127.{random.randint(16, 250)}.{random.randint(1, 254)}"
        if block not in used:
            return block
    raise ClusterError("no free block of loopback addresses found in 127.0.0.0/8")


def _blocks_in_use() -> set[str]:
    """Blocks of 127.0.0.0/8 with a socket of any user, from the kernel's list (little-endian hex)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = [bytes.fromhex(line.split()[1].partition(":")[0])[::-1] for line in lines]
    return {".".join(map(str, address[:3])) for address in addresses if address[0] == 127}
