"""Certificates of clients: which are asked for, which are accepted, and what a log tells of them.

A ticket holds the certificate of its client, which is verified no more when the session is resumed. So
the key of tickets depends on the authorities: where these change, former tickets are worth nothing.
"""

import hashlib
import ssl
from collections.abc import Mapping

from epollo.annotations import Any, Final
from epollo.errors import OperatorError
from epollo.linux.openssl import set_client_authorities
from epollo.transports.memory_file import open_memory_file
from epollo.transports.pairs import CERTIFICATE_BEGIN, TICKET_KEY_OCTETS, ClientAuthorities

PARTIAL_CHAIN: Final = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN (x509_vfy.h): a certificate that is trusted need not be that of a root."""
_REVOKED: Final = b"-----BEGIN X509 CRL-----"
_SUBJECT_LIMIT: Final = 1024
"""Characters: a certificate may be of 100 KiB, and each connection keeps the subject."""
# RFC 4514 section 3, by the names that OpenSSL has for them.
_SHORT_NAMES: Final = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_ESCAPED: Final = {ord(one): f"\\{one}" for one in '"+,;<>\\'} | {0: "\\00"}


def ask_clients(context: ssl.SSLContext, authorities: ClientAuthorities) -> None:
    """Have a context ask its clients for a certificate of these authorities.

    Raises `OperatorError` if they are none.
    """
    try:
        with open_memory_file(authorities.certificates) as path:
            context.load_verify_locations(path)
            set_client_authorities(context, path)
    except (ssl.SSLError, OSError) as error:
        raise _refuse(authorities, _explain(error, authorities)) from None
    if not context.cert_store_stats()["x509_ca"]:
        raise _refuse(authorities, "no certificate in it is that of an authority (CA:TRUE)")
    context.verify_flags |= ssl.VerifyFlags(PARTIAL_CHAIN)
    if _REVOKED in authorities.certificates:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_REQUIRED if authorities.is_required else ssl.CERT_OPTIONAL


def check_authorities(authorities: ClientAuthorities) -> None:
    """Raise `OperatorError` if these are no authorities."""
    ask_clients(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), authorities)


def _refuse(authorities: ClientAuthorities, reason: str) -> OperatorError:
    return OperatorError(f"cannot verify clients by {authorities.place}: {reason}")


def _explain(error: OSError, authorities: ClientAuthorities) -> str:
    if CERTIFICATE_BEGIN not in authorities.certificates:
        return "it has no certificate as PEM (-----BEGIN CERTIFICATE-----)"
    reason = getattr(error, "reason", None) or ""
    return reason.replace("_", " ").lower() or str(error.strerror or error)


def bind_ticket_key(ticket_key: bytes, authorities: ClientAuthorities) -> bytes:
    """Return the key of tickets that are good with these authorities, and with no others."""
    verdict = hashlib.sha256(authorities.certificates).digest() + bytes((authorities.is_required,))
    return hashlib.shake_256(ticket_key + verdict).digest(TICKET_KEY_OCTETS)


def format_subject(certificate: Mapping[str, Any] | None) -> str:
    """Return whose certificate this is (RFC 4514), the common name first; empty if there is none.

    ``certificate`` is as ``SSLObject.getpeercert`` returns it. One without a subject has its first
    alternative name instead, with the kind before it.
    """
    if not certificate:
        return ""
    names = [
        "+".join(f"{_SHORT_NAMES.get(kind, kind)}={_escape(value)}" for kind, value in several)
        for several in reversed(certificate.get("subject", ()))
    ]
    if not names:
        names = [f"{kind}:{value}" for kind, value in certificate.get("subjectAltName", ())][:1]
    return ",".join(names)[:_SUBJECT_LIMIT]


def _escape(value: str) -> str:
    """Escape what RFC 4514 section 2.4 has escaped."""
    escaped = value.translate(_ESCAPED)
    if escaped[:1] in {" ", "#"}:
        escaped = f"\\{escaped}"
    if len(value) > 1 and value.endswith(" "):
        escaped = f"{escaped[:-1]}\\ "
    return escaped
