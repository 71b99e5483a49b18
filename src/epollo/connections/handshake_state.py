"""What a handshake waits for, as plain numbers, like the states of a connection (`state`)."""

from typing import Final

from epollo.protocols.tls import ClientHello, HelloReader

TURN: Final = 0
"""A later batch, in which the ClientHello is answered."""
THREAD: Final = 1
"""A flight that the thread makes."""
HELLO: Final = 2
"""The ClientHello, or more of it. From here on the client moves next."""
CLIENT: Final = 3
"""The client's last flight."""
REQUEST: Final = 4
"""Nothing but the first request."""
OVER: Final = 5


class Opening:
    """A ClientHello that comes in parts, or is to be answered in a later batch."""

    __slots__ = ("hello", "octets", "reader")

    def __init__(self, octets: bytes = b"", hello: ClientHello | None = None) -> None:
        self.octets = octets
        self.hello = hello
        self.reader = HelloReader()
