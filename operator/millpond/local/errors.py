"""What goes wrong with an embedded cluster, said so that somebody can act on it."""


class ClusterError(Exception):
    """The cluster can't do what was asked; the message says which part and what would help."""


class KubectlError(ClusterError):
    """kubectl ended with an error; the message is what it printed."""


class PortTaken(ClusterError):
    """Somebody took a port between our looking and our program's listening; another one will do."""
