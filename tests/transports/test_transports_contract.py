"""What a plain socket makes of the flags of a transport."""

import socket

from epollo.transports import LAST


def test_last_octets_are_sent_before_the_end() -> None:
    """A socket that is closed with octets unread drops what it held back."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    with near:
        near.sendall(b"unread")
        with far:
            assert far.send(b"answer", socket.MSG_DONTWAIT | LAST) == 6
            near.settimeout(0.1)
            assert near.recv(10) == b"answer"


def test_a_socket_of_unix_takes_it_too() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert far.send(b"answer", socket.MSG_DONTWAIT | LAST) == 6
        assert near.recv(10) == b"answer"
