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
    if not settings.tls_port:
        return True
    # A path that a service manager opened has no port.
    return listening.family != socket.AF_UNIX and listening.getsockname()[1] == settings.tls_port
