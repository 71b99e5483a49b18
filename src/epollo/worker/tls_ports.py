"""Where TLS is spoken: on every port, on one of its own, or on none."""

import socket

from epollo.settings import Settings


def is_secure(settings: Settings) -> bool:
    """Return whether TLS is spoken anywhere, now or once there is a certificate."""
    return bool(settings.tls_certificates or settings.acme)


def speaks_tls(settings: Settings, listening: socket.socket) -> bool:
    """Return whether TLS is spoken on a listening socket."""
    if not is_secure(settings):
        return False
    return not settings.tls_port or listening.getsockname()[1] == settings.tls_port
