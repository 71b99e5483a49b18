"""What the first flight of a server says of the next flight of its client.

The exchange of keys takes long: with P-384 some milliseconds. In TLS 1.3 it comes before the server's
flight, unless that is a HelloRetryRequest: it asks for the key of another group, which the client sends
in another ClientHello (RFC 8446 section 4.1.4). In TLS 1.2 it comes behind that flight, whose last
message is then a ServerHelloDone (RFC 5246 section 7.4.5). A session of TLS 1.2 that is resumed has none.
"""

from epollo.annotations import Final

_RETRY_RANDOM: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
_RANDOM: Final = slice(11, 43)
"""Behind the heads of a record and of a message, and the version."""
_SERVER_HELLO_DONE: Final = b"\x0e\0\0\0"


def asks_for_key(flight: bytes) -> bool:
    """Return whether a client answers this flight of a server by a key, which takes long to use."""
    return flight[_RANDOM] == _RETRY_RANDOM or flight.endswith(_SERVER_HELLO_DONE)
