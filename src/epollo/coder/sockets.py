"""What a coder, its parent and its clients agree on: sockets, messages, signals.

The parent loads no library for this.
"""

import signal

from epollo.annotations import Final

CONTROL_DESCRIPTOR: Final = 3
"""Where the socket to the parent is when the coder begins, unless it is told another number."""
CLIENT: Final = b"client "
"""The parent sends it with the number of a client and a socket to it; a client has one socket."""
ARE_YOU_THERE: Final = b"are you there"
"""The parent sends it where a client waits."""
HERE: Final = b"here"
"""The answer of a coder that lives."""
HELLO: Final = b"hello"
"""The first that a coder sends to a client: from then on it may be asked."""
INLINE_OCTETS_LIMIT: Final = 64 * 1024
"""Content up to this length stands in the message."""
MESSAGE_OCTETS: Final = INLINE_OCTETS_LIMIT + 128
"""No message is longer."""
SOCKET_OCTETS: Final = 2 * MESSAGE_OCTETS
"""What a socket has to hold for a message to fit (SO_SNDBUF)."""
IGNORED_SIGNALS: Final = frozenset(
    (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
)
"""A coder ignores them: its parent ends it. They are blocked until it does (signal(7))."""
