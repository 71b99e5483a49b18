"""Certificates and keys: read, checked, and found by the name that a client asks for.

A pair is read as octets and reaches the library by a file without a name, because a process in a
sandbox cannot open the path, and only the parent reads the key of another user. What is wrong with a
pair is found before it is used, by a handshake in memory, in which a client that trusts nothing but the
certificate itself verifies it.
"""

import contextlib
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from types import MethodType

from epollo.annotations import Final, TypeAlias
from epollo.errors import OperatorError
from epollo.linux.openssl import send_as_loaded, set_groups, set_suites, set_ticket_key
from epollo.transports.client_certificates import PARTIAL_CHAIN, ask_clients, bind_ticket_key
from epollo.transports.memory_file import open_memory_file
from epollo.transports.openssl_session import OpensslSession
from epollo.transports.pairs import CERTIFICATE_BEGIN, CERTIFICATE_END, ClientAuthorities, Pair
from epollo.transports.session import MakeSession

PROTOCOLS: Final = (b"http/1.1", b"http/1.0")
"""What is spoken over TLS, by the names of ALPN (RFC 7301 section 6)."""
PROOF_PROTOCOL: Final = b"acme-tls/1"
"""What an authority says that it speaks in order to have a host proven (RFC 8737 section 4)."""
# Mozilla's intermediate profile, version 5.7, for TLS 1.2; those of TLS 1.3 are always on.
_SUITES: Final = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20"
_PRIORITIZE_CHACHA: Final = 0x200000
"""SSL_OP_PRIORITIZE_CHACHA (ssl.h)."""
_CHAIN_LIMIT: Final = 16
_KEY: Final = b"PRIVATE KEY-----"
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
"""X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID (x509_vfy.h)."""
_FLIGHTS_LIMIT: Final = 8


SelectMaker: TypeAlias = Callable[[ssl.SSLContext, Sequence[Pair]], MakeSession]
"""Returns what begins the sessions of a context that has these pairs."""


def select_openssl(context: ssl.SSLContext, _: Sequence[Pair] = ()) -> MakeSession:
    """Return what begins a session by OpenSSL."""
    # The interpreter calls it without a function of C in between, unlike a `partial`.
    return MethodType(OpensslSession, context)


def load_library(name: str) -> SelectMaker:
    """Return what selects the sessions of a library, which is ready to serve.

    Raises `OperatorError` if it is not installed, or not as it is known here.
    """
    if name == "openssl":
        return select_openssl
    # Here alone: it is not installed for most.
    from epollo.transports.rustls_session import (  # noqa: PLC0415
        gather_randomness,
        select_rustls,
    )

    gather_randomness()
    return select_rustls


def describe_swap(library: str, pairs: Sequence[Pair]) -> str:
    """Return the line that says that these pairs are in use, and by which library if by another."""
    line = "new certificates are in use"
    if library == "openssl" or not pairs:
        return line
    from epollo.transports.rustls_session import find_hindrance  # noqa: PLC0415 - as above

    hindrance = find_hindrance(pairs)
    return f"{line}, by OpenSSL; rustls is of no use: {hindrance}" if hindrance else line


class Certificates:
    """All certificates of a listener: the context of each name, and that of no name.

    There may be none yet, where an authority is still to issue the first.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        ticket_key: bytes = b"",
        clients: ClientAuthorities | None = None,
        *,
        select_maker: SelectMaker = select_openssl,
    ) -> None:
        """Raise `OperatorError` if one of the pairs, or the authority of clients, is not right.

        Processes with the same ``ticket_key`` accept each other's tickets. With ``clients``, every
        client is asked for a certificate, whatever name it asks for. ``select_maker`` selects the library
        of the sessions with clients that are asked for none.
        """
        if ticket_key and clients is not None:
            ticket_key = bind_ticket_key(ticket_key, clients)
        self.verifies_clients = clients is not None
        """Whether sessions ask their clients for a certificate."""
        self._by_name: dict[bytes, ssl.SSLContext] = {}
        by_names: dict[tuple[str, ...], ssl.SSLContext] = {}
        pairs_of: dict[ssl.SSLContext, list[Pair]] = {}
        for pair in pairs:
            context = make_context(pair)
            if ticket_key:
                set_ticket_key(context, ticket_key)
            names = find_names(pair, context)
            present = by_names.setdefault(names, context)
            if present is not context:
                # The same names with another kind of key: the library offers what the client can use.
                load_pair(present, pair)
            elif clients is not None:
                ask_clients(context, clients)
            else:
                # It verifies nothing, so that there is no authority to be found.
                send_as_loaded(context)
            pairs_of.setdefault(present, []).append(pair)
            for name in names:
                self._by_name.setdefault(name.encode(), present)
        self.default = next(iter(by_names.values()), None)
        if clients is not None:
            select_maker = select_openssl
        self.makers = {one: select_maker(one, those) for one, those in pairs_of.items()}
        """What begins the sessions of each context."""

    def find(self, server_name: bytes) -> ssl.SSLContext | None:
        """Return the context for a name that a client asks for; None if no certificate has it.

        A client that names none, because it knows the server by an address, gets the first certificate.
        So does a client that names the address, which is no name (RFC 6066 section 3). If no
        certificate has a name (``openssl req -x509`` makes them so), any client gets the first. A
        wildcard stands for one label (RFC 9525 section 6.3).
        """
        found = self._by_name.get(server_name)
        if found is None:
            found = self._by_name.get(b"*." + server_name.partition(b".")[2])
        if found is None and (not self._by_name or _is_no_name(server_name)):
            return self.default
        return found

    @property
    def names(self) -> list[str]:
        """All names that the certificates have."""
        return [name.decode() for name in self._by_name]


def _is_no_name(server_name: bytes) -> bool:
    """Return whether a client named nothing, or an address."""
    try:
        ipaddress.ip_address(server_name.decode("latin-1"))
    except ValueError:
        return not server_name
    return True


def make_proof_context(pair: Pair) -> ssl.SSLContext:
    """Return the context that answers an authority's handshake (RFC 8737 section 3)."""
    context = make_context(pair)
    context.set_alpn_protocols([PROOF_PROTOCOL.decode()])
    return context


def make_context(pair: Pair) -> ssl.SSLContext:
    """Return a context of the server's side. Raises `OperatorError` if the pair is not right."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Our order, in which AES with the shorter key comes first; but a client without hardware for AES
    # names ChaCha20 first, and gets it.
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | _PRIORITIZE_CHACHA
    # Each costs another encryption, and one is good for several connections (RFC 8446 appendix C.4).
    context.num_tickets = 1
    context.set_alpn_protocols([name.decode() for name in PROTOCOLS])
    set_groups(context)
    set_suites(context)
    load_pair(context, pair)
    return context


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """Have a context use a pair. Raises `OperatorError` if it is not right."""
    if CERTIFICATE_BEGIN not in pair.certificate:
        # The library would take the two in either order.
        is_swapped = CERTIFICATE_BEGIN in pair.key and _KEY in pair.certificate
        reason = (
            "it is a key, and its key is a certificate: are they swapped?"
            if is_swapped
            else f"it has no certificate as PEM (-----BEGIN CERTIFICATE-----){_hint(pair.certificate)}"
        )
        raise OperatorError(f"cannot use the certificate {pair.place}: {reason}")
    try:
        with open_memory_file(pair.key + b"\n" + pair.certificate) as path:
            context.load_cert_chain(path, password=_refuse_password)
    except _PasswordWantedError:
        raise OperatorError(
            f"cannot use the certificate {pair.place}: its key is encrypted; epollo needs it in the clear"
        ) from None
    except (ssl.SSLError, OSError) as error:
        raise OperatorError(
            f"cannot use the certificate {pair.place}: {_explain(error, pair)}"
        ) from None


class _PasswordWantedError(Exception):
    """A key is encrypted."""


def _refuse_password() -> str:
    raise _PasswordWantedError


def _explain(error: OSError, pair: Pair) -> str:
    """Return in a few words why OpenSSL refuses a pair."""
    reason = getattr(error, "reason", None) or ""
    if reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"} and all(
        b"-----BEGIN " in octets for octets in (pair.certificate, pair.key)
    ):
        if _has_later_leaf(pair):
            return "the key is that of a later certificate in it; the chain has to stand behind that one"
        return "the key is not that of the certificate"
    if _KEY not in pair.key:
        return f"the key file has no key as PEM (-----BEGIN PRIVATE KEY-----){_hint(pair.key)}"
    if not reason or reason == "PEM_LIB":
        damaged = "its key" if _are_whole(pair.certificate) else "it"
        return f"{damaged} is damaged: what stands between BEGIN and END is not all there"
    return reason.replace("_", " ").lower() or str(error.strerror or error)


def _hint(octets: bytes) -> str:
    """Return how to make PEM of what is no PEM, where that is known."""
    # The begin of all that is DER here: a sequence whose length takes two octets or one.
    is_der = octets[:2] in {b"\x30\x82", b"\x30\x81"}
    return "; it is DER, which openssl makes PEM of (-inform DER)" if is_der else ""


def _are_whole(certificates: bytes) -> bool:
    """Return whether each certificate in a file can be read."""
    first = certificates.find(CERTIFICATE_BEGIN)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=certificates[first:].decode("ascii", "replace")
        )
    except (ssl.SSLError, ValueError):
        return False
    return certificates.count(CERTIFICATE_BEGIN) == certificates.count(CERTIFICATE_END)


def _has_later_leaf(pair: Pair) -> bool:
    """Return whether the key is that of a certificate behind the first."""
    later = pair.certificate.split(CERTIFICATE_BEGIN)[2:_CHAIN_LIMIT]
    for rest in later:
        with (
            contextlib.suppress(ssl.SSLError, OSError),
            open_memory_file(pair.key + b"\n" + CERTIFICATE_BEGIN + rest) as path,
        ):
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=_refuse_password)
            return True
    return False


def find_names(pair: Pair, context: ssl.SSLContext) -> tuple[str, ...]:
    """Return the names of a certificate, sorted; addresses as text.

    Raises `OperatorError` if a client would not accept it by its dates, its purpose or its kind of key.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags(PARTIAL_CHAIN)
    leaf, end, _chain = pair.certificate.partition(CERTIFICATE_END)
    first = leaf + end
    client.load_verify_locations(
        cadata=first[first.index(b"-----BEGIN") :].decode("ascii", "replace")
    )
    try:
        found = _verify_in_memory(client, context)
    except ssl.SSLCertVerificationError as error:
        raise OperatorError(f"the certificate {pair.place} {_describe_refusal(error)}") from None
    except ssl.SSLError:
        # The library reads its key, and no client offers that kind: DSA, or a curve such as secp256k1.
        raise OperatorError(
            f"the certificate {pair.place} is none that clients accept: use a key of RSA, or on the "
            "curve P-256 or P-384"
        ) from None
    names = {
        value.lower().removesuffix(".")
        for kind, value in found.get("subjectAltName", ())
        if kind in {"DNS", "IP Address"}
    }
    return tuple(sorted(names))


def _describe_refusal(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "has expired"
    if error.verify_code == _NOT_YET_VALID:
        return "is not valid yet; is the clock of this machine right?"
    return f"is none that clients accept: {error.verify_message}"


def _verify_in_memory(
    client: ssl.SSLContext, server: ssl.SSLContext
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Let a client shake hands with a server; return the certificate that it verified, decoded."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(_FLIGHTS_LIMIT):
        are_done = [_is_done(end) for end in ends]
        if all(are_done):
            break
    found: dict[str, tuple[tuple[str, str], ...]] = ends[0].getpeercert() or {}  # type: ignore[assignment]
    return found


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
