"""Whether text may be announced as UTF-8: a charset parameter overrides what the text itself says.

Facts: a browser believes Content-Type before a ``<meta>``, an XML declaration or an ``@charset`` rule
(WHATWG Encoding; RFC 7303 section 3; CSS Syntax section 3.2), and shows what is no UTF-8 as rubbish.
Decision: text gets the parameter if it is UTF-8 and does not itself name another encoding. All other
text is sent without it.
"""

import codecs
import re
from collections.abc import Iterable

from epollo.annotations import Final
from epollo.patterns import compile_late

UTF_8: Final = b"; charset=utf-8"

DECLARATION_OCTETS: Final = 4096
"""A declaration is looked for this far; HTML asks for one within the first 1,024 octets."""

# The labels of UTF-8 (WHATWG Encoding section 4.2). A page cannot say in ASCII that it is UTF-16, which
# HTML therefore reads as UTF-8.
_LABELS: Final = frozenset(
    (
        *(b"utf-8", b"utf8", b"unicode-1-1-utf-8", b"unicode11utf8", b"unicode20utf8"),
        *(b"x-unicode20utf8", b"utf-16", b"utf-16le", b"utf-16be"),
    )
)
_LABEL: Final = rb"[\"']?[\t\n\f\r ]*([^\"'\t\n\f\r />;?]+)"
# For a head in lower case: to search for a name in either case takes twenty times as long.
_COMMENT: Final = compile_late(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META: Final = compile_late(rb"<meta(?=[\t\n\f\r /])([^>]*)")
_META_CONTENT: Final = compile_late(rb"content[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"[^\"]*\"|'[^']*')")
_META_CHARSET: Final = compile_late(rb"[\t\n\f\r /;\"']charset[\t\n\f\r ]*=[\t\n\f\r ]*" + _LABEL)
_XML: Final = compile_late(
    rb"(?:\xef\xbb\xbf)?<\?xml[\t\n\r ][^>]*?encoding[\t\n\r ]*=[\t\n\r ]*" + _LABEL
)
_CSS: Final = compile_late(rb'@charset "([^"]*)";')

# Octets of text that is no UTF-8 although it could be: NUL is in UTF-16, ESC $ begins the double-octet
# sets of ISO 2022 (RFC 1468), which are made of ASCII.
_NUL: Final = b"\0"
_ESCAPE: Final = b"\x1b"
_DOUBLE_OCTET_SET: Final = _ESCAPE + b"$"


def find_declared_charset(media_type: bytes, head: bytes) -> bytes | None:
    """Return the encoding that the beginning of a text names, in lower case; None if it names none.

    ``media_type`` has no parameters. HTML, XML and CSS can name their encoding; other types cannot.
    """
    head = head[:DECLARATION_OCTETS]
    found = None
    if media_type == b"text/html":
        # XHTML that is sent as HTML may have both; browsers look at either.
        head = head.lower()
        found = _XML.match(head) or _find_meta(head)
    elif media_type.endswith((b"/xml", b"+xml")):
        found = _XML.match(head.lower())
    elif media_type == b"text/css":
        found = _CSS.match(head)
    return None if found is None else found[1].strip().lower()


def _find_meta(head: bytes) -> re.Match[bytes] | None:
    if b"charset" not in head:
        return None
    for element in _META.finditer(_COMMENT.sub(b"", head)):
        attributes = element[1]
        if b"http-equiv" not in attributes:
            # The content of another element, such as a description, names no encoding.
            attributes = _META_CONTENT.sub(b"", attributes)
        found = _META_CHARSET.search(attributes)
        if found is not None:
            return found
    return None


def is_announced_as_utf8(media_type: bytes, pieces: Iterable[bytes]) -> bool:
    """Return whether text, which comes in pieces, is UTF-8 and names no other encoding.

    ``media_type`` has no parameters; the first piece holds the declaration.
    """
    decoder = None
    is_first = True
    tail = b""
    for piece in pieces:
        if is_first:
            is_first = False
            declared = find_declared_charset(media_type, piece)
            if declared is not None and declared not in _LABELS:
                return False
        if _NUL in piece or (_ESCAPE in piece and _DOUBLE_OCTET_SET in piece):
            return False
        if tail == _ESCAPE and piece.startswith(b"$"):
            return False
        tail = piece[-1:]
        try:
            if decoder is not None:
                decoder.decode(piece)
            elif not piece.isascii():
                decoder = codecs.getincrementaldecoder("utf-8")()
                decoder.decode(piece)
        except UnicodeDecodeError:
            return False
    try:
        if decoder is not None:
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
