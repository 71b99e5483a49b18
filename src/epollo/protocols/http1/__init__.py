"""HTTP/1.1 and HTTP/1.0 (RFC 9112)."""

from epollo.protocols.http1.framing import FRAMING_FIELDS
from epollo.protocols.http1.head import HeadReader, Limits, refuse
from epollo.protocols.http1.part import cut_answer, split_range
from epollo.protocols.http1.receive import Finished, Http1, Query
from epollo.protocols.http1.render import Frames, describe_target, render_answer, render_refusal

__all__ = [
    "FRAMING_FIELDS",
    "Finished",
    "Frames",
    "HeadReader",
    "Http1",
    "Limits",
    "Query",
    "cut_answer",
    "describe_target",
    "refuse",
    "render_answer",
    "render_refusal",
    "split_range",
]
