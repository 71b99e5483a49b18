"""Status codes, their reason phrases, and the small plain page that says one (RFC 9110 section 15)."""

from epollo.annotations import Final
from epollo.http.message import Basis, FieldLine, Response

REASONS: Final[dict[int, bytes]] = {
    100: b"Continue",
    200: b"OK",
    204: b"No Content",
    206: b"Partial Content",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    408: b"Request Timeout",
    410: b"Gone",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}

NO_SNIFF: Final[FieldLine] = (b"X-Content-Type-Options", b"nosniff")

_PAGE: Final = (
    b'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
    b'<meta name="viewport" content="width=device-width">\n'
    b'<meta name="color-scheme" content="light dark">\n'
    b"<title>%d %b</title>\n<h1>%d %b</h1>\n"
)


_LINK: Final = b'<p><a href="%b">%b</a>\n'


def format_plain_page(status: int, link: bytes = b"") -> bytes:
    """Return a small page that shows this status in a browser, with a link to another place.

    Of the octets that mean something in HTML, the link may have ``&`` alone.
    """
    reason = REASONS[status]
    page = _PAGE % (status, reason, status, reason)
    link = link.replace(b"&", b"&amp;")
    return page + _LINK % (link, link) if link else page


def respond_plainly(
    status: int,
    fields: tuple[FieldLine, ...] = (),
    *,
    basis: Basis | None = None,
    link: bytes = b"",
) -> Response:
    """Return a response with the small plain page as its content."""
    page = format_plain_page(status, link)
    is_sniffing_said = any(name.lower() == NO_SNIFF[0].lower() for name, _ in fields)
    return Response(
        status,
        (
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Content-Length", b"%d" % len(page)),
            *(() if is_sniffing_said else (NO_SNIFF,)),
            *fields,
        ),
        (page,),
        basis=basis,
    )
