"""Certificates for tests: made in memory for the names that a test wants."""

import contextlib
import datetime
import ipaddress
import ssl
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_CURVES: Final = {"ec": ec.SECP256R1(), "P-384": ec.SECP384R1(), "secp256k1": ec.SECP256K1()}
_USAGES: Final = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
"""What a key may be used for (RFC 5280 section 4.2.1.3), by the names of `x509.KeyUsage`."""


class Made(NamedTuple):
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str = "site") -> tuple[str, ...]:
        """Write both into a folder; return the options that name them."""
        folder.mkdir(exist_ok=True)
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(self.certificate)
        paths[1].write_bytes(self.key)
        return "--tls-cert", str(paths[0]), "--tls-key", str(paths[1])

    def trust(self) -> ssl.SSLContext:
        """Return the context of a client that trusts this certificate alone."""
        return ssl.create_default_context(cadata=self.certificate.decode())

    def trust_as(self, made: "Made | None", folder: Path) -> ssl.SSLContext:
        """Return the same for a client that may have a certificate itself, written to a folder."""
        client = self.trust()
        if made is not None:
            options = made.write(folder, "client")
            client.load_cert_chain(options[1], options[3])
        return client


def make_hello(context: ssl.SSLContext) -> bytes:
    """Return the first octets of a client that asks for localhost, and means it."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def shake_hands(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    name: str = "a.test",
    session: ssl.SSLSession | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Return the two ends of a session in memory, as far as their handshake came without an error."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name, session=session),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends


def make_certificate(
    *names: str,
    kind: str = "ec",
    begins_in_days: int = -1,
    ends_in_days: int = 30,
    has_names: bool = True,
) -> Made:
    """Return a certificate for names and addresses; without any, for those of this machine."""
    key = _make_key(kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "epollo test")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [_describe(name) for name in names or ("localhost", "127.0.0.1")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins_in_days * DAY)
        .not_valid_after(now + ends_in_days * DAY)
    )
    if has_names:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return Made(certificate.public_bytes(serialization.Encoding.PEM), _dump_key(key))


def make_first_version_certificate() -> Made:
    """Return a certificate of X.509's first version, as ``openssl x509 -req`` makes it."""
    made = make_certificate(has_names=False)
    given = x509.load_pem_x509_certificate(made.certificate)
    key = serialization.load_pem_private_key(made.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    # What is signed begins with the version (RFC 5280 section 4.1).
    content = given.tbs_certificate_bytes.partition(b"\xa0\3\2\1\2")[2]
    signed = _wrap(b"\x30", content)
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    signature = _wrap(b"\x03", b"\0" + key.sign(signed, ec.ECDSA(hashes.SHA256())))
    encoded = _wrap(b"\x30", signed + algorithm + signature)
    return Made(ssl.DER_cert_to_PEM_cert(encoded).encode(), made.key)


def _wrap(tag: bytes, content: bytes) -> bytes:
    """Return content as DER."""
    octets = len(content)
    if octets < 128:
        length = bytes((octets,))
    elif octets < 256:
        length = bytes((0x81, octets))
    else:
        length = b"\x82" + octets.to_bytes(2, "big")
    return tag + length + content


class Authority:
    """Signs certificates of clients and servers, and says which of them it revoked."""

    def __init__(
        self, name: str = "epollo test authority", root: "Authority | None" = None
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._revoked: list[x509.RevokedCertificate] = []
        issuer = root or self
        usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
        public = self._key.public_key()
        certificate = (
            _begin(self._name, issuer._name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(issuer._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)

    def sign(
        self,
        *subject: tuple[x509.ObjectIdentifier, str],
        uri: str = "",
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        ends_in_days: int = 30,
    ) -> Made:
        """Return the certificate of a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(*one) for one in subject])
        builder = _begin(name, self._name, key.public_key(), ends_in_days).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if uri:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Made(certificate.public_bytes(serialization.Encoding.PEM), _dump_key(key))

    def issue(self, *names: str, kind: str = "ec", ends_in_days: int = 30) -> Made:
        """Return the certificate of a server, with what public authorities put into one."""
        key = _make_key(kind)
        public = key.public_key()
        usage = dict.fromkeys(_USAGES, False) | {"digital_signature": True}
        alternatives = x509.SubjectAlternativeName([_describe(name) for name in names])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _begin(x509.Name([]), self._name, public, ends_in_days)
            .add_extension(alternatives, critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Made(certificate.public_bytes(serialization.Encoding.PEM), _dump_key(key))

    def revoke(self, made: Made) -> bytes:
        """Revoke a certificate; return the list of all that are revoked, as PEM."""
        now = datetime.datetime.now(datetime.UTC)
        serial = x509.load_pem_x509_certificate(made.certificate).serial_number
        self._revoked.append(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        )
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - DAY)
            .next_update(now + DAY)
        )
        for one in self._revoked:
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _make_key(kind: str) -> Key:
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return _make_rsa_key()


@cache
def _make_rsa_key() -> rsa.RSAPrivateKey:
    """Return the same key each time: to make one takes as long as to make a hundred of the other kind."""
    return rsa.generate_private_key(65537, 2048)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    ends_in_days: int = 30,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 9 * DAY)
        .not_valid_after(now + ends_in_days * DAY)
    )


def _dump_key(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def encrypt_key(made: Made) -> Made:
    """Return the same with a key that wants a password."""
    key = serialization.load_pem_private_key(made.key, None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    return Made(made.certificate, encrypted)


def _describe(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
