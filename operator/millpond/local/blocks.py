"""Blocks of loopback addresses for nodes and their pods, such as "127.83.7" for 127.83.7.0/24."""

import random
from collections.abc import Collection
from pathlib import Path

from millpond.local.errors import ClusterError

_ATTEMPTS = 200


def free_block(taken: Collection[str]) -> str:
    """A block on which nobody on this machine listens and which is not in `taken`."""
    used = {*taken, *_in_use()}
    for _ in range(_ATTEMPTS):
        block = f"127.{random.randint(16, 250)}.{random.randint(1, 254)}"
        if block not in used:
            return block
    raise ClusterError("no free block of loopback addresses found in 127.0.0.0/8")


def _in_use() -> set[str]:
    """Blocks of 127.0.0.0/8 with a socket of any user, from the kernel's list (little-endian hex)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = [bytes.fromhex(line.split()[1].partition(":")[0])[::-1] for line in lines]
    return {".".join(map(str, address[:3])) for address in addresses if address[0] == 127}
