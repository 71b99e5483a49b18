"""Certificates for developers: from an authority that belongs to this user, for this machine.

Facts: a browser accepts certificates only of authorities that it was told to trust. A key that may sign
for every host in the world is a danger on a disk.
Decision: an authority is made once, and may sign for this machine and for private networks only (name
constraints, RFC 5280 section 4.2.1.10). A certificate is made anew when its time is nearly over or the
names of the machine have changed.
"""

import datetime
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    from epollo.errors import OperatorError, describe_missing

    raise OperatorError(f"--tls-self-signed needs {describe_missing('cryptography')}") from None

from epollo.transports.state_folder import (
    AUTHORITY,
    open_state_folder,
    read_secret,
    write_secrets,
)

_DAY: Final = datetime.timedelta(days=1)
_AUTHORITY_DAYS: Final = 3650
# Browsers accept no certificate for more than 398 days; Apple's none of a user's own for more than 825.
_CERTIFICATE_DAYS: Final = 90
_RENEWED_DAYS: Final = 30
_PRIVATE_NETWORKS: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
            *("::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)


class Local(NamedTuple):
    """The files of a certificate for this machine, and of the authority that is to be trusted."""

    certificate: Path
    key: Path
    authority: Path


def list_local_names(host: str, reachable: str | None) -> tuple[str, ...]:
    """Return the names and addresses of this machine; ``host`` is where it listens."""
    machine = socket.gethostname().lower()
    names = ["localhost", "127.0.0.1", "::1"]
    if machine and "." not in machine:
        names += [machine, f"{machine}.local"]
    for address in (host, reachable or ""):
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            continue
        # What the authority may not sign for would spoil the certificate for all names.
        if any(parsed in network for network in _PRIVATE_NETWORKS):
            names.append(str(parsed))
    return tuple(dict.fromkeys(names))


def ensure_certificate(folder: Path, names: Sequence[str]) -> Local:
    """Return a certificate for these names that is good for a month at least; made where there is none.

    Raises `OperatorError` if the folder cannot be used.
    """
    open_state_folder(folder)
    local = Local(folder / "local.pem", folder / "local.key", folder / AUTHORITY)
    authority_key = folder / "authority.key"
    if not _is_good(local.authority, authority_key, None):
        _make_authority(local.authority, authority_key)
    if not _is_good(local.certificate, local.key, names, local.authority):
        _make_certificate(local, authority_key, names)
    return local


def _is_good(
    certificate: Path, key: Path, names: Sequence[str] | None, authority: Path | None = None
) -> bool:
    """Return whether two files are a pair that is good for a month, for these names."""
    try:
        chain = x509.load_pem_x509_certificates(read_secret(certificate))
        loaded = serialization.load_pem_private_key(read_secret(key), None)
        ends = chain[0].not_valid_after_utc
        if ends - datetime.datetime.now(datetime.UTC) < _RENEWED_DAYS * _DAY:
            return False
        if loaded.public_key() != chain[0].public_key():
            return False
        if authority is not None:
            chain[0].verify_directly_issued_by(
                x509.load_pem_x509_certificate(read_secret(authority))
            )
        if names is None:
            return True
        found = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:
        return False
    return set(found) == {_describe(name) for name in names}


def _make_authority(certificate: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    machine = socket.gethostname() or "localhost"
    name = _make_name(f"epollo on {machine}")
    permitted: list[x509.GeneralName] = [
        x509.DNSName(one) for one in ("localhost", "local", machine.lower())
    ]
    permitted += map(x509.IPAddress, _PRIVATE_NETWORKS)
    made = (
        _begin(name, name, key, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_describe_usage(is_authority=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_secrets(
        {key_path: _dump(key), certificate: made.public_bytes(serialization.Encoding.PEM)}
    )


def _make_certificate(local: Local, authority_key: Path, names: Sequence[str]) -> None:
    authority = x509.load_pem_x509_certificate(read_secret(local.authority))
    signing = serialization.load_pem_private_key(read_secret(authority_key), None)
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([_describe(name) for name in names])
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    made = (
        _begin(_make_name(names[0]), authority.subject, key, _CERTIFICATE_DAYS)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_describe_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(signing, hashes.SHA256())  # type: ignore[arg-type]
    )
    issued = made.public_bytes(serialization.Encoding.PEM)
    write_secrets({local.key: _dump(key), local.certificate: issued})


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of phones beside this machine differ a little.
        .not_valid_before(now - _DAY)
        .not_valid_after(now + days * _DAY)
    )


def _describe_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _describe(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _dump(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
