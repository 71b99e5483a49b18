"""Keys, signing requests and certificates of ACME, as octets; and when a certificate is to be renewed."""

import base64
import datetime
import hashlib
import random
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from epollo.annotations import Final

_ACME_IDENTIFIER: Final = ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""The extension of a certificate that answers a challenge (RFC 8737 section 3)."""
_OCTET_STRING: Final = b"\x04\x20"


def make_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key of the curve P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def dump_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key(octets: bytes) -> ec.EllipticCurvePrivateKey | None:
    """Return the key that `dump_key` wrote; None if this is none."""
    try:
        key = serialization.load_pem_private_key(octets, None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def make_request(names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a signing request for names, as DER (RFC 2986)."""
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.DER)


def make_proof(name: str, authorization: str) -> tuple[bytes, bytes]:
    """Return the certificate that answers tls-alpn-01, and its key (RFC 8737 section 3)."""
    key = make_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
    now = datetime.datetime.now(datetime.UTC)
    digest = hashlib.sha256(authorization.encode()).digest()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(_ACME_IDENTIFIER, _OCTET_STRING + digest), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), dump_key(key)


def identify(certificate: bytes) -> str:
    """Return what the authority calls a certificate when it is asked about its renewal.

    RFC 9773 section 4.1: the identifier of the authority's key and the serial number. Raises
    `ValueError` if the certificate has no such identifier.
    """
    parsed = x509.load_pem_x509_certificate(certificate)
    try:
        found = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        raise ValueError("no identifier of the authority's key") from None
    key_identifier = found.value.key_identifier or b""
    number = parsed.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (key_identifier, serial)
    )


def find_renewal(certificate: bytes) -> float:
    """Return when two thirds of the life of a certificate are over, seconds since 1970."""
    parsed = x509.load_pem_x509_certificate(certificate)
    begin = parsed.not_valid_before_utc.timestamp()
    return begin + (parsed.not_valid_after_utc.timestamp() - begin) * 2 / 3


def choose_within(first: str, last: str) -> float:
    """Return an instant at random between two (RFC 3339), seconds since 1970 (RFC 9773 section 4.2).

    Raises `ValueError` if these are no instants.
    """
    begin, end = (datetime.datetime.fromisoformat(text).timestamp() for text in (first, last))
    return random.uniform(begin, max(begin, end))  # noqa: S311 - it spreads load
