"""The certificate authority of the line between operator and routers, and what it issues. Where it is kept: elsewhere.

A router's certificate says who it is in a URI: `spiffe://millpond/ns/NAMESPACE/router`. The operator's has host names,
which is what routers look at. The one is good for clients only, the other for servers only: no router can pass as the
operator.

An authority is replaced in three stages, so that nobody meets a certificate that he cannot verify yet: the coming one
is made known, then it signs, and the old one is trusted for as long as something that it signed may live.
"""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY_S = 86_400.0
_BACKDATED_S = 3600.0  # clocks differ
_RENEWED = 2 / 3  # of a life


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """How long things are valid; renewed when two thirds of that are over."""

    leaf_s: float = 90 * _DAY_S
    authority_s: float = 3650 * _DAY_S
    announce_s: float = 3600.0
    """So long before it signs, a new authority is made known. Mounted Secrets follow within two minutes or so."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Signed({self.names()})"  # the key must not get into a log

    def check(self) -> None:
        """Raises ValueError with a sentence when this is no certificate, no key, or they don't belong together."""
        certificate, key = _parsed(self.certificate), _private(self.key)
        if certificate.public_key() != key.public_key():
            raise ValueError("the key does not belong to the certificate")

    def until_s(self) -> float:
        return _parsed(self.certificate).not_valid_after_utc.timestamp()

    def names(self) -> tuple[str, ...]:
        """Host names, addresses and URIs that it speaks for."""
        try:
            found = _parsed(self.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return ()
        return tuple(str(name.value) for name in found.value)


def check_authorities(pem: bytes) -> None:
    """Raises ValueError with a sentence when these are no certificates."""
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError("the authorities' certificates are not readable as PEM") from error


def router_identity(namespace: str) -> str:
    """Who a router of the operator in this namespace is."""
    return f"spiffe://millpond/ns/{namespace}/router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The authority that signs, and at most one that will or that did. `since_s`: when this came to be so."""

    signing: Signed
    since_s: float
    coming: Signed | None = None
    gone: bytes | None = None

    @classmethod
    def new(cls, now_s: float, lives: Lives) -> "Trust":
        return cls(signing=_new_authority(now_s, lives), since_s=now_s)

    @property
    def bundle(self) -> bytes:
        """The certificates of all that are trusted, PEM."""
        known = (self.signing.certificate, self.coming and self.coming.certificate, self.gone)
        return b"".join(pem.strip() + b"\n" for pem in known if pem)

    def check(self) -> None:
        """Raises ValueError with a sentence."""
        for authority in (self.signing, self.coming):
            if authority is not None:
                authority.check()
        check_authorities(self.bundle)

    def after(self, now_s: float, lives: Lives, *, wanted: bool = False) -> "Trust":
        """The next stage when it is time for it, else this very object. `wanted`: somebody asks for a new authority."""
        stage_s = now_s - self.since_s
        if self.coming is not None:
            if stage_s < lives.announce_s:
                return self
            return Trust(signing=self.coming, since_s=now_s, gone=self.signing.certificate)
        if self.gone is not None:
            return self if stage_s < lives.leaf_s else Trust(signing=self.signing, since_s=now_s)
        if not wanted and now_s < self.signing.until_s() - (1 - _RENEWED) * lives.authority_s:
            return self
        return Trust(signing=self.signing, since_s=now_s, coming=_new_authority(now_s, lives))

    def for_server(self, names: Sequence[str], now_s: float, lives: Lives) -> Signed:
        """`names`: host names and IP addresses."""
        found = [_host(name) for name in names]
        return self._leaf("millpond-operator", found, ExtendedKeyUsageOID.SERVER_AUTH, now_s, lives)

    def for_router(self, namespace: str, now_s: float, lives: Lives) -> Signed:
        found = [x509.UniformResourceIdentifier(router_identity(namespace))]
        return self._leaf("millpond-router", found, ExtendedKeyUsageOID.CLIENT_AUTH, now_s, lives)

    def sound(self, leaf: Signed, names: Sequence[str], now_s: float, lives: Lives) -> bool:
        """Whether a certificate is whole, of these names, by the authority that signs now, and not due for renewal."""
        try:
            leaf.check()
            _parsed(leaf.certificate).verify_directly_issued_by(_parsed(self.signing.certificate))
        except (ValueError, TypeError, InvalidSignature):
            return False
        until_s = min(leaf.until_s(), now_s + lives.leaf_s)
        return set(leaf.names()) == set(names) and now_s < until_s - (1 - _RENEWED) * lives.leaf_s

    def _leaf(
        self,
        name: str,
        alternatives: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        now_s: float,
        lives: Lives,
    ) -> Signed:
        issuer, key = _parsed(self.signing.certificate), ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(
                _name(name), issuer.subject, key, now_s, min(now_s + lives.leaf_s, self.signing.until_s())
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        )
        return _signed(builder, key, _private(self.signing.key))


def _new_authority(now_s: float, lives: Lives) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"millpond-xds-{secrets.token_hex(4)}")  # two in one bundle must not share a name
    builder = (
        _builder(name, name, key, now_s, now_s + lives.authority_s)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )
    return _signed(builder, key, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now_s: float, until_s: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now_s - _BACKDATED_S, UTC))
        .not_valid_after(datetime.fromtimestamp(until_s, UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey
) -> Signed:
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    certificate = builder.add_extension(by, critical=False).sign(issuer, hashes.SHA256())
    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return Signed(certificate.public_bytes(pem), key.private_bytes(pem, form, encryption))


def _parsed(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ValueError("the certificate is not readable as PEM") from error


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise ValueError("the key is not readable as PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not one of an elliptic curve")
    return key


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
