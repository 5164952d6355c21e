"""An address of its own for each pod, out of the node's block; a freed one rests until all others had their turn."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path


class NoAddress(Exception):
    """Every address of the block is taken."""


class Addresses:
    """``cursor_file`` remembers the last address given, so that a restarted node does not give it again at once."""

    def __init__(self, block: IPv4Network, cursor_file: Path) -> None:
        self._block = block
        self._cursor_file = cursor_file
        self._cursor = int(cursor_file.read_text()) if cursor_file.exists() else 1

    def take(self, taken: Iterable[str]) -> str:
        used = set(taken)
        size = self._block.num_addresses - 3  # without network, node and broadcast address
        for step in range(size):
            at = 2 + (self._cursor - 1 + step) % size
            if (address := str(self._block[at])) not in used:
                self._cursor = at
                self._cursor_file.write_text(str(at))
                return address
        raise NoAddress(f"all {size} pod addresses of {self._block} are taken")
