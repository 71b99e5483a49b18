"""What a server says first in TLS."""

from epollo.annotations import Final

_RETRY_RANDOM: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
_RANDOM: Final = slice(11, 43)
"""Behind the heads of a record and of a message, and the version."""


def asks_for_another_hello(flight: bytes) -> bool:
    """Return whether a first flight is a HelloRetryRequest (RFC 8446 section 4.1.3).

    Then the client offers a key of a group that it did not offer one of, and the flight that takes long
    answers its next ClientHello.
    """
    return flight[_RANDOM] == _RETRY_RANDOM
