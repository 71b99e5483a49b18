"""TLS as far as the server reads it itself: what a client says first, and how it is refused."""

from epollo.protocols.tls.alerts import Alert, format_alert
from epollo.protocols.tls.client_hello import (
    ClientHello,
    HelloReader,
    MalformedHelloError,
    parse_client_hello,
    parse_whole,
)
from epollo.protocols.tls.plain_http import find_link
from epollo.protocols.tls.server_hello import asks_for_key

__all__ = [
    "Alert",
    "ClientHello",
    "HelloReader",
    "MalformedHelloError",
    "asks_for_key",
    "find_link",
    "format_alert",
    "parse_client_hello",
    "parse_whole",
]
