"""HTTP/1.1 and HTTP/1.0 (RFC 9112)."""

from epollo.protocols.http1.head import FRAMING_FIELDS, HeadReader, Limits, refuse
from epollo.protocols.http1.receive import Http1, frame
from epollo.protocols.http1.render import Prefixes, render_answer, render_refusal

__all__ = [
    "FRAMING_FIELDS",
    "HeadReader",
    "Http1",
    "Limits",
    "Prefixes",
    "frame",
    "refuse",
    "render_answer",
    "render_refusal",
]
