"""What is spoken at the places where connections are accepted."""

import socket

from epollo.settings import Settings


def speaks_tls(settings: Settings, listening: socket.socket) -> bool:
    """Return whether TLS is spoken on a listening socket."""
    if not settings.tls_certificates:
        return False
    return not settings.tls_port or listening.getsockname()[1] == settings.tls_port
