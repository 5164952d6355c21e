"""Addresses that people and charts write: "ip:port", an IPv6 address with brackets around it or without."""

import socket

from millpond.router.config import Endpoint

_ANY = "::"


def spelled(text: str) -> str:
    """The one spelling of an address; of another text (a host name) the same text.

    >>> spelled("fd00:0::1:8001")
    '[fd00::1]:8001'
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return Endpoint(address=host, port=int(port)).authority if ":" in host and port.isdecimal() else text


def listening(text: str) -> str:
    """Where to listen: `[::]`, which takes clients of both families, is 0.0.0.0 on a machine without IPv6."""
    host, _, port = spelled(text).rpartition(":")
    if host == f"[{_ANY}]" and not has_ipv6():
        return f"0.0.0.0:{port}"
    return spelled(text)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((_ANY, 0))
    except OSError:
        return False
    return True
