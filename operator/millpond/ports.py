"""Free TCP ports on this machine."""

import errno
import random
import socket
from collections.abc import Collection

_RANGE = range(20_000, 32_000)  # below the range from which Linux takes ports of outgoing connections
_ATTEMPTS = 200


def free_port(taken: Collection[int] = ()) -> int:
    """A TCP port on 127.0.0.1 that is free now and not in `taken`. OSError when there is none."""
    for port in random.sample(_RANGE, _ATTEMPTS):
        if port not in taken and is_free(port):
            return port
    text = f"no free port found on 127.0.0.1 between {_RANGE.start} and {_RANGE.stop}"
    raise OSError(errno.EADDRNOTAVAIL, text)


def is_free(port: int) -> bool:
    """Whether a program could listen on 127.0.0.1 at this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
