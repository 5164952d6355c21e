"""The certificates that a router shows to clients: one folder for each, as a mounted Secret of type kubernetes.io/tls.

A client gets the one whose names have the host that it asks for (SNI; `*.` counts for one label); who asks for none of
them gets the first by the folder's name. A renewed one is taken up when its files are renamed into place; one that does
not fit (half written, the wrong key) leaves the one before. Names that a certificate did not have when the router
started are found as long as all fit.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from millpond.router.trust.tls import TYPES, sds_config, sds_secret

Json: TypeAlias = dict[str, Any]
_CERTIFICATE, _KEY = "tls.crt", "tls.key"
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS = 2048
_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def find(folder: Path) -> tuple[Sequence[Path], Sequence[str]]:
    """The folders of certificates that can be shown, by name, and a sentence on each that can't, naming the file."""
    good, wrong = [], []
    for each in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        try:
            check(each)
            good.append(each)
        except (OSError, ValueError) as error:
            wrong.append(str(error))
    return good, wrong


def check(folder: Path) -> None:
    """Raises ValueError with a sentence when Envoy would not take what is in this folder, OSError when it can't."""
    certificate, key = folder / _CERTIFICATE, folder / _KEY
    for file in (certificate, key):
        if not file.is_file():
            raise ValueError(f"{file}: there is no such file; a Secret of type kubernetes.io/tls has it")
    shown, secret = _leaf(certificate), _private(key)
    if shown.public_key() != secret.public_key():
        raise ValueError(f"{key}: it does not belong to the first certificate in {certificate}")
    if isinstance(secret, rsa.RSAPrivateKey) and secret.key_size < _RSA_BITS:
        raise ValueError(f"{key}: RSA with {secret.key_size} bits; at least {_RSA_BITS} are needed")
    if isinstance(secret, ec.EllipticCurvePrivateKey) and not isinstance(secret.curve, _CURVES):
        raise ValueError(f"{key}: the curve {secret.curve.name}; P-256, P-384 or P-521 is needed")


def _leaf(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0]
    except ValueError as error:
        raise ValueError(f"{file}: not readable as a certificate in PEM") from error


def _private(file: Path) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except TypeError as error:
        raise ValueError(f"{file}: it has a password; it must have none") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{file}: not readable as a private key in PEM") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError(f"{file}: the key is neither RSA nor one of an elliptic curve")
    return key


def by_names(folders: Sequence[Path]) -> Mapping[tuple[str, ...], Sequence[Path]]:
    """The certificates of the same host names together (RSA and EC, say); a name belongs to the first that has it."""
    found: dict[tuple[str, ...], list[Path]] = {}
    for folder in folders:
        found.setdefault(_hosts(_leaf(folder / _CERTIFICATE)), []).append(folder)
    taken: set[str] = set()
    distinct: dict[tuple[str, ...], Sequence[Path]] = {}
    for names, some in found.items():
        if rest := tuple(name for name in names if name not in taken):
            distinct[rest] = some
            taken.update(rest)
    return distinct


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """Those that Envoy can look for: no wildcards inside a label."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = {name.lower() for name in found.get_values_for_type(x509.DNSName)}
    return tuple(sorted(filter(_HOST.fullmatch, names)))


def secret_files(folders: Sequence[Path]) -> Mapping[str, Json]:
    """Envoy's secrets, each in a file of its own as it wants it: name -> content."""
    return {f"{_name(folder)}.json": sds_secret(_name(folder), _content(folder)) for folder in folders}


def transport_socket(folders: Sequence[Path], secrets: Path) -> Json:
    """Of the listener. `secrets`: the folder that `secret_files` were written to."""
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [sds_config(_name(folder), secrets) for folder in folders],
    }
    typed = {"@type": f"{TYPES}.DownstreamTlsContext", "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def _name(folder: Path) -> str:
    # Without dots: at the first one, Envoy's statistics take a name to end.
    return "shown-" + folder.name.replace(".", "%2E")


def _content(folder: Path) -> Json:
    # Of a volume that holds several Secrets, the folders are links that stay; what is renamed lies beside them.
    watched = folder.parent if folder.is_symlink() else folder
    return {
        "tls_certificate": {
            "certificate_chain": {"filename": str(folder / _CERTIFICATE)},
            "private_key": {"filename": str(folder / _KEY)},
            "watched_directory": {"path": str(watched)},
        }
    }
