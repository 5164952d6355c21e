"""The ports that a control plane listens on."""

from millpond.local.errors import ClusterError
from millpond.ports import free_port, is_free

USES = ("etcd", "peer", "apiserver")


def complete(ports: dict[str, int]) -> None:
    """A free port for every use: the one that it has, or else a random one."""
    for use in USES:
        if use not in ports or not is_free(ports[use]):
            try:
                ports[use] = free_port(ports.values())
            except OSError as error:
                raise ClusterError(error.strerror) from error
