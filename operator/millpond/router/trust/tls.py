"""Mutual TLS between operator and routers: whom the operator's gRPC server lets in, and where Envoy has its files.

Both sides take up new certificates without a restart: gRPC asks for them at every handshake, Envoy watches the folder.
A connection outlives neither for long: the server ends it after `connection_age_s`, and the router opens another one.
"""

import ipaddress
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from millpond.router.trust.authority import Signed, check_authorities

log = logging.getLogger(__name__)
Json: TypeAlias = dict[str, Any]
FILES = ("ca.crt", "tls.crt", "tls.key")
"""As a mounted Secret has them."""
TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_IDENTITY, _TRUST = "identity", "trust"
_GRACE_S = 5.0


class ServerTls:
    """`client`: the URI that a client's certificate must have. `use` must be called before `credentials`."""

    def __init__(self, *, client: str, connection_age_s: float = 3600.0) -> None:
        self.client = client
        self._age_s = connection_age_s
        self._wanted: Any = None
        self._taken: Any = None
        self._told: set[tuple[str, ...]] = set()

    def use(self, shown: Signed, trusted: bytes) -> None:
        """From the next handshake on. `trusted`: the authorities of clients, PEM."""
        pairs = [(shown.key, shown.certificate)]
        self._wanted = grpc.ssl_server_certificate_configuration(pairs, trusted)

    def credentials(self) -> Any:
        self._taken = self._wanted
        return grpc.dynamic_ssl_server_credentials(self._wanted, self._newer, True)

    def options(self) -> tuple[tuple[str, int], ...]:
        """Of the gRPC server."""
        ages = {"age": self._age_s, "age_grace": min(_GRACE_S, self._age_s)}
        return tuple((f"grpc.max_connection_{name}_ms", round(1000 * s)) for name, s in ages.items())

    def _newer(self) -> Any:
        """Called by gRPC's own thread; None: no change."""
        wanted = self._wanted
        if wanted is self._taken:
            return None
        self._taken = wanted
        return wanted

    def admits(self, context: Any) -> bool:
        """Whether the caller is a router; its certificate has been verified already."""
        said = context.auth_context().get("x509_subject_alternative_name", ())
        names = tuple(sorted(name.decode(errors="replace") for name in said))
        if self.client in names:
            return True
        if names not in self._told:
            self._told.add(names)
            log.warning("refused a client that is %s, not %s", ", ".join(names) or "nobody", self.client)
        return False


def plain_allowed(xds: str) -> bool:
    """Whether an address can be reached from this machine only, so that a line needs no TLS."""
    if xds.startswith("unix:"):
        return True
    host = xds.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_files(folder: Path) -> None:
    """Raises ValueError with a sentence when a router can't start with these: Envoy would wait for ever."""
    absent = [name for name in FILES if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{folder} has no {', '.join(absent)}")
    ca, certificate, key = ((folder / name).read_bytes() for name in FILES)
    try:
        Signed(certificate, key).check()
        check_authorities(ca)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def secret_files(folder: Path) -> Mapping[str, Json]:
    """Envoy's secrets, each in a file of its own as it wants it: name -> content. `folder`: see FILES.

    Envoy looks again when something is renamed into the folder: a Secret's mount does that, and so does `mv`.
    """
    watched = {"watched_directory": {"path": str(folder)}}
    certificate = {
        "certificate_chain": {"filename": str(folder / "tls.crt")},
        "private_key": {"filename": str(folder / "tls.key")},
        **watched,
    }
    trusted = {"trusted_ca": {"filename": str(folder / "ca.crt")}, **watched}
    return {
        f"{_IDENTITY}.json": sds_secret(_IDENTITY, {"tls_certificate": certificate}),
        f"{_TRUST}.json": sds_secret(_TRUST, {"validation_context": trusted}),
    }


def transport_socket(hosts: Sequence[str], secrets: Path) -> Json:
    """Envoy's side of a connection to one of `hosts`. `secrets`: the folder that `secret_files` were written to."""
    names = [host for host in hosts if _is_name(host)]
    sans = [
        {"san_type": "DNS" if host in names else "IP_ADDRESS", "matcher": {"exact": host}} for host in hosts
    ]
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [sds_config(_IDENTITY, secrets)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": sans},
            "validation_context_sds_secret_config": sds_config(_TRUST, secrets),
        },
    }
    typed = {"@type": f"{TYPES}.UpstreamTlsContext", "common_tls_context": common, "max_session_keys": 0}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {**typed, **({"sni": names[0]} if names else {})},
    }


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def sds_secret(name: str, content: Json) -> Json:
    """The content of the file in which Envoy finds a secret of this name."""
    return {"resources": [{"@type": f"{TYPES}.Secret", "name": name, **content}]}


def sds_config(name: str, secrets: Path) -> Json:
    """Where that file is: a reference to the secret. `secrets`: the folder."""
    source = {"path_config_source": {"path": str(secrets / f"{name}.json")}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}
