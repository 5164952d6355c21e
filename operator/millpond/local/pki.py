"""A certificate authority of the cluster's own, so that every connection in it is verified."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from millpond.clock import Clock, now_s

_VALID = timedelta(days=3650)
_BACKDATED = timedelta(hours=1)  # a clock that is set back a little must not end a cluster
_USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM files."""

    certificate: Path
    key: Path


def pair(folder: Path, stem: str) -> Pair:
    return Pair(folder / f"{stem}.crt", folder / f"{stem}.key")


@dataclass(frozen=True, slots=True)
class Authority:
    files: Pair
    clock: Clock = now_s

    @classmethod
    def at(cls, folder: Path, stem: str, clock: Clock = now_s) -> "Authority":
        """The authority kept in `folder`; made there when it does not exist yet."""
        authority = cls(pair(folder, stem), clock)
        if not authority.files.certificate.exists():
            key = new_key(authority.files.key)
            name = _name(f"millpond-{stem}")
            _write(authority.files.certificate, authority._sign(name, key, name, key, ca=True))
        return authority

    def issue(
        self,
        stem: str,
        common_name: str,
        *,
        organisation: str | None = None,
        addresses: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Pair:
        """A fresh certificate `stem`.crt, for a client and for a server at `addresses` and `names`."""
        issued = pair(self.files.certificate.parent, stem)
        issuer = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())
        issuer_key = serialization.load_pem_private_key(self.files.key.read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        alternatives: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
        alternatives += [x509.DNSName(name) for name in names]
        subject = _name(common_name, organisation)
        certificate = self._sign(subject, new_key(issued.key), issuer.subject, issuer_key, alternatives)
        _write(issued.certificate, certificate)
        return issued

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        issuer_key: ec.EllipticCurvePrivateKey,
        alternatives: Sequence[x509.GeneralName] = (),
        *,
        ca: bool = False,
    ) -> x509.Certificate:
        start = datetime.fromtimestamp(self.clock(), UTC) - _BACKDATED
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _VALID)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_key_usage(ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_issued_by(issuer_key), critical=False)
        )
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())


def new_key(path: Path, public: Path | None = None) -> ec.EllipticCurvePrivateKey:
    """A fresh private key in `path` (and its public half in `public`), readable by this user only."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    if public is not None:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return key


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation is not None:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _issued_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _key_usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
