"""A session by rustls, which the package ``rtls`` brings to Python (the extra ``rustls``).

Facts: ``rtls`` 2026.9.21 (rustls 0.23, aws-lc), a beta that was made for clients first, with P-256 and
TLS 1.3: a full handshake takes 300 microseconds where OpenSSL 3.0 takes 400 to 590, to protect 1 KiB 2.2
where it takes 3.7, and 60 KiB as long.

- Its ``SSLObject`` does not tell close_notify from "nothing yet", and sends no alert. The state machine
  below it does both: after close_notify it wants to read no more; after an error it has the alert.
- ``decrypt_incoming`` does not return if more than it can hold follows close_notify.
- A configuration is made for each connection, 16 microseconds for a key on a curve and 200 for RSA, so
  that no session is resumed. It has one certificate, and asks a client for none.
- The order of suites is the client's.
- A bug in it is no `Exception`, but ``pyo3_runtime.PanicException``, which would end the loop.
- Before its first handshake it measures jitter of the processor for 30 to 70 milliseconds.

Decision: the three calls of the state machine are used. OpenSSL serves what this cannot: keys of RSA, two
kinds of key for the same names, certificates of clients, proofs for authorities.
"""

import contextlib
import ssl
from collections.abc import Iterable, Sequence
from functools import partial
from operator import attrgetter

from epollo.annotations import TYPE_CHECKING, Final
from epollo.errors import OperatorError, describe_missing
from epollo.transports.openssl_session import OpensslSession
from epollo.transports.pairs import CERTIFICATE_BEGIN, CERTIFICATE_END, Pair
from epollo.transports.session import Buffers, MakeSession

try:
    from rtls import _rustls
except ImportError as error:
    if isinstance(error, ModuleNotFoundError) and error.name == "rtls":
        raise OperatorError(f"--tls-library rustls needs {describe_missing('rtls')}") from None
    raise OperatorError(
        f"--tls-library rustls: the package rtls cannot be loaded: {error}"
    ) from None

if TYPE_CHECKING:
    from rtls._rustls import RustlsServerConnection

# What is called below; it is no public part of the package.
_CALLED: Final = (
    *("rand_bytes", "rustls_version"),
    *(
        f"RustlsConfigBuilder.{name}"
        for name in ("set_server_cert_chain_pem", "set_alpn", "build_server_connection")
    ),
    *(
        f"RustlsServerConnection.{name}"
        for name in (
            *("is_handshaking", "read_tls", "process_new_packets", "read_plaintext", "wants_read"),
            *("write_plaintext", "send_close_notify", "write_tls", "wants_write", "alpn_protocol"),
        )
    ),
)
for _name in _CALLED:
    try:
        attrgetter(_name)(_rustls)
    except AttributeError:
        raise OperatorError(
            f"--tls-library rustls: this version of the package rtls has no {_name}; epollo is made "
            "for rtls 2026.9.21"
        ) from None
# What the subject's public key begins with: id-ecPublicKey, and the curve P-256 or P-384 (RFC 5480
# section 2.1.1).
_EC_KEYS: Final = tuple(
    bytes.fromhex("06072a8648ce3d0201" + curve)
    for curve in ("06082a8648ce3d030107", "06052b81040022")
)


class _Waiting:
    """How much waits."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = 0


class RustlsSession:
    """A session by rustls; its methods are those of the contract (`session.Session`)."""

    __slots__ = (
        "_connection",
        "_plain",
        "incoming",
        "is_complete",
        "is_direct",
        "is_ended",
        "outgoing",
    )

    def __init__(self, connection: "RustlsServerConnection") -> None:
        self._connection = connection
        # What came behind the handshake.
        self._plain = b""
        self.incoming = _Waiting()
        self.outgoing = _Waiting()
        self.is_complete = False
        self.is_direct = False
        self.is_ended = False

    def shake_hands(self, octets: bytes) -> bytes:
        """Continue the handshake."""
        self._plain = self._feed(octets)
        if not self._connection.is_handshaking():
            self.is_complete = True
            self.incoming.pending = len(self._plain) or int(self.is_ended)
        return self.take()

    def share(self, buffers: Buffers) -> None:
        """Have none."""

    def receive(self, octets: bytes) -> bytes:
        """Return plain octets."""
        plain = self._feed(octets)
        if self._plain:
            plain = self._plain + plain
            self._plain = b""
        self.incoming.pending = 0
        return plain

    def protect(self, plain: bytes | memoryview) -> bytes:
        """Return records."""
        # The library takes no other kind of octets.
        octets = plain if isinstance(plain, bytes) else bytes(plain)
        connection = self._connection
        taken = connection.write_plaintext(octets)
        protected = self.take()
        # It holds 64 KiB at the most.
        while taken < len(octets):
            taken += connection.write_plaintext(octets[taken:])
            protected += self.take()
        return protected

    def protect_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """Return records."""
        return self.protect(b"".join(parts))

    def say_end(self) -> bytes:
        """Return close_notify."""
        self._connection.send_close_notify()
        return self.take()

    def take(self) -> bytes:
        """Return what is to be sent."""
        connection = self._connection
        octets = connection.write_tls()
        # A call has 64 parts at the most.
        while connection.wants_write():
            octets += connection.write_tls()
        self.outgoing.pending = 0
        return octets

    def begin_direct(self, descriptor: int) -> bool:  # noqa: ARG002
        """Do not: the library knows no socket."""
        return False

    def end_direct(self) -> None:
        """Do nothing."""

    def write(self, plain: bytes | memoryview) -> None:
        """Write to no socket."""
        raise NotImplementedError

    @property
    def protocol(self) -> str | None:
        """What is spoken."""
        protocol = self._connection.alpn_protocol()
        return None if protocol is None else protocol.decode("latin-1")

    def find_subject(self) -> str:
        """Return nothing: no client is asked for a certificate."""
        return ""

    def _feed(self, octets: bytes) -> bytes:
        """Have the library take what the peer sent; return the plain octets of it."""
        connection = self._connection
        plain = b""
        part = octets
        try:
            # It takes some 4 KiB at once, and nothing once the peer has said close_notify.
            while part and (taken := connection.read_tls(part)):
                connection.process_new_packets()
                # Plain octets are fewer than protected ones, but part of a record may have been here.
                while piece := connection.read_plaintext(taken):
                    plain += piece
                    if len(piece) < taken:
                        break
                part = part[taken:]
        except BaseException as fault:
            if type(fault).__module__ == "pyo3_runtime":
                # The library has said so on stderr, and what it was at; others are connected.
                raise ssl.SSLError(f"rustls: {fault}") from None
            raise
        finally:
            self.outgoing.pending = int(connection.wants_write())
        if not (connection.wants_read() or connection.is_handshaking()):
            self.is_ended = True
        return plain


class RustlsPair:
    """A certificate and its key as rustls has them."""

    __slots__ = ("_build",)

    def __init__(self, pair: Pair) -> None:
        """Raise `ssl.SSLError` if rustls cannot use the pair."""
        builder = _rustls.RustlsConfigBuilder()
        builder.set_server_cert_chain_pem(pair.certificate, pair.key)
        builder.set_alpn([b"http/1.1", b"http/1.0"])
        self._build = builder.build_server_connection
        self._build()

    def begin(self, buffers: Buffers | None) -> RustlsSession:  # noqa: ARG002
        """Begin a session."""
        return RustlsSession(self._build())


def select_rustls(context: ssl.SSLContext, pairs: Sequence[Pair]) -> MakeSession:
    """Return what begins the sessions of a context with these pairs: rustls where it can."""
    if len(pairs) == 1 and has_fitting_key(pairs[0]):
        # A certificate may be one that OpenSSL takes, and this library does not.
        with contextlib.suppress(ssl.SSLError):
            return RustlsPair(pairs[0]).begin
    return partial(OpensslSession, context)


def find_hindrance(pairs: Sequence[Pair]) -> str:
    """Return why rustls would serve no certificate of these; nothing if it serves one.

    Raises `OperatorError` if one of the pairs is not right.
    """
    # Here alone: it selects this library.
    from epollo.transports.certificates import Certificates  # noqa: PLC0415

    makers = Certificates(pairs, select_maker=select_rustls).makers.values()
    if any(isinstance(getattr(maker, "__self__", None), RustlsPair) for maker in makers):
        return ""
    fitting = [pair for pair in pairs if has_fitting_key(pair)]
    if not fitting:
        return "it serves keys on the curves P-256 and P-384, and no certificate has one"
    for pair in fitting:
        try:
            RustlsPair(pair)
        except ssl.SSLError as error:
            return f"it cannot use the certificate {pair.place} ({error.args[-1]})"
    return "it serves no names for which there are two kinds of key"


def gather_randomness() -> None:
    """Have the library gather randomness, which takes it 30 to 70 milliseconds, once for a process."""
    _rustls.rand_bytes(1)


def has_fitting_key(pair: Pair) -> bool:
    """Return whether the key of a certificate is one that rustls serves with less time than OpenSSL."""
    leaf = pair.certificate.partition(CERTIFICATE_END)[0].partition(CERTIFICATE_BEGIN)[2]
    try:
        encoded = ssl.PEM_cert_to_DER_cert(
            f"{ssl.PEM_HEADER}{leaf.decode('ascii')}{ssl.PEM_FOOTER}"
        )
    except ValueError:
        return False
    return any(key in encoded for key in _EC_KEYS)


def describe_library() -> str:
    """Return which library serves what, in one line."""
    return f"rustls {_rustls.rustls_version()}, which resumes no session; OpenSSL for keys of RSA"
