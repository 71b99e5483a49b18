"""Responses as octets (RFC 9112 sections 4 and 5)."""

from epollo.http.message import Response
from epollo.http.status import REASONS


def format_head(response: Response, date: bytes, minor_version: int, *, persists: bool) -> bytes:
    """Return status line and fields.

    ``date`` is the value of Date; ``minor_version`` is the client's. Persistence is the default of
    HTTP/1.1 and must be said to HTTP/1.0, the end of it the other way round (RFC 9112 section 9.3).
    """
    rendered = response.rendered
    if rendered is None:
        rendered = response.rendered = _render(response)
    if persists:
        if minor_version:
            return b"%bDate: %b\r\n\r\n" % (rendered, date)
        return b"%bDate: %b\r\nConnection: keep-alive\r\n\r\n" % (rendered, date)
    return b"%bDate: %b\r\nConnection: close\r\n\r\n" % (rendered, date)


def has_content(method: bytes, status: int) -> bool:
    """Tell whether content follows the head of this answer (RFC 9110 section 6.4.1)."""
    return method != b"HEAD" and status != 304 and status >= 200


def _render(response: Response) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\nServer: epollo\r\n" % (response.status, REASONS[response.status])]
    lines += [b"%b: %b\r\n" % field for field in response.fields]
    return b"".join(lines)
