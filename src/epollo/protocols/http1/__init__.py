"""HTTP/1.1 and HTTP/1.0 (RFC 9112)."""

from epollo.protocols.http1.format import format_head, has_content
from epollo.protocols.http1.head import HeadReader, Limits, Refusal, part_at_cookie, refuse
from epollo.protocols.http1.receive import Http1, Incoming

__all__ = [
    "HeadReader",
    "Http1",
    "Incoming",
    "Limits",
    "Refusal",
    "format_head",
    "has_content",
    "part_at_cookie",
    "refuse",
]
