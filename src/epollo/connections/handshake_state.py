"""What a handshake waits for, as plain numbers, like the states of a connection (`state`)."""

from epollo.annotations import Final

TURN: Final = 0
"""A later batch, in which the ClientHello is answered."""
THREAD: Final = 1
"""A flight that the thread makes."""
HELLO: Final = 2
"""The ClientHello, or more of it. From here on the client moves next."""
KEY: Final = 3
"""The client's key, or a ClientHello with another key than the first had. To use it takes long."""
CLIENT: Final = 4
"""The client's last flight."""
REQUEST: Final = 5
"""Nothing but the first request."""
OVER: Final = 6
