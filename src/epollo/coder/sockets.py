"""The sockets of a coder: one to its parent, one to each client; the parent loads no library for this."""

from typing import Final

CONTROL_DESCRIPTOR: Final = 3
"""Where the socket to the parent is when the coder begins, unless it is told another number."""
CLIENT: Final = b"client"
"""The parent sends it with a descriptor: the socket to a client."""
HELLO: Final = b"hello"
"""The first that a coder sends to a client: from then on it may be asked."""
INLINE_OCTETS_LIMIT: Final = 64 * 1024
"""Content up to this length stands in the message."""
MESSAGE_OCTETS: Final = INLINE_OCTETS_LIMIT + 128
"""No message is longer."""
SOCKET_OCTETS: Final = 2 * MESSAGE_OCTETS
"""What a socket has to hold for a message to fit (SO_SNDBUF)."""
