"""The terms of a session: what a ClientHello asks for, and what the server has for it.

ClientHellos that say the same get the same terms, so these are found once: to find them anew takes a
fortieth of the steps of a connection.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from epollo.annotations import Final
from epollo.generations import Generations
from epollo.protocols.tls import Alert, ClientHello
from epollo.transports import Kind, format_scope
from epollo.transports.certificates import (
    PROOF_PROTOCOL,
    PROTOCOLS,
    Certificates,
    select_openssl,
)
from epollo.transports.session import MakeSession
from epollo.transports.tls import TLS

_ENTRIES_LIMIT: Final = 256
# A name takes at most 255 octets, but a list of protocols with one of ours in it may be long.
_OCTETS_LIMIT: Final = 64 * 1024
_NO_PROOFS: Final[Mapping[bytes, ssl.SSLContext]] = MappingProxyType({})


class SessionTerms:
    """What a session begins with; ``kind`` is that of the connection over it, but for its subject."""

    __slots__ = ("is_proof", "kind", "make_session", "verifies_client")

    def __init__(
        self, make_session: MakeSession, kind: Kind, *, verifies_client: bool, is_proof: bool
    ) -> None:
        self.make_session = make_session
        self.kind = kind
        self.verifies_client = verifies_client
        """Whether the client is asked for a certificate."""
        self.is_proof = is_proof
        """Whether the client may be an authority that has a host proven (RFC 8737)."""


class SessionOffer:
    """All that sessions may begin with. It is never changed, but replaced by another one.

    ``certificates`` has some for each way in which clients are verified; ``find_way`` returns the
    number of the way for a name. ``proofs`` has, by name, what answers an authority that asks whether a
    host is ours.
    """

    __slots__ = ("_certificates", "_find_way", "_kinds", "_proofs", "known")

    def __init__(
        self,
        certificates: Sequence[Certificates],
        find_way: Callable[[bytes], int] = lambda _: 0,
        proofs: Mapping[bytes, ssl.SSLContext] = _NO_PROOFS,
    ) -> None:
        self._certificates = certificates
        self._find_way = find_way
        self._proofs = proofs
        self._kinds = [TLS._replace(scope=format_scope(way)) for way in range(len(certificates))]
        self.known = Generations[ClientHello, SessionTerms](
            entries_limit=_ENTRIES_LIMIT, octets_limit=_OCTETS_LIMIT
        )
        """What was found, for a look-up in its ``young``."""

    def find(self, hello: ClientHello) -> SessionTerms | Alert:
        """Return the terms of a session, or why there can be none."""
        octets = len(hello.server_name) + sum(map(len, hello.protocols))
        found = self.known.get(hello, octets)
        if found is not None:
            return found
        way = self._find_way(hello.server_name)
        context = self._find_context(hello, way)
        if isinstance(context, Alert):
            return context
        terms = SessionTerms(
            self._certificates[way].makers.get(context) or select_openssl(context),
            self._kinds[way],
            verifies_client=self._certificates[way].verifies_clients,
            is_proof=PROOF_PROTOCOL in hello.protocols,
        )
        self.known.put(hello, terms, octets)
        return terms

    def _find_context(self, hello: ClientHello, way: int) -> ssl.SSLContext | Alert:
        if PROOF_PROTOCOL in hello.protocols:
            return self._proofs.get(hello.server_name, Alert.NO_APPLICATION_PROTOCOL)
        if hello.protocols and not set(hello.protocols).intersection(PROTOCOLS):
            return Alert.NO_APPLICATION_PROTOCOL
        return self._certificates[way].find(hello.server_name) or Alert.UNRECOGNIZED_NAME
