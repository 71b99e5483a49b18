"""Values of a query as forms write them: application/x-www-form-urlencoded (WHATWG URL, section 5).

`urllib.parse` does the same; it is not loaded, as a server needs nothing else of it.
"""

import re

from epollo.annotations import Final
from epollo.patterns import compile_late

_ESCAPED: Final = compile_late(rb"%([0-9A-Fa-f]{2})")
_OTHER: Final = compile_late(rb"[^0-9A-Za-z_.~-]")


def decode_value(octets: bytes) -> str:
    """Return the text of a value; what is no escape stands for itself, what is no UTF-8 is replaced."""
    plain = _ESCAPED.sub(_unescape, octets.replace(b"+", b" "))
    return plain.decode("utf-8", "replace")


def encode_value(text: str) -> str:
    """Return a text as a value."""
    return _OTHER.sub(_escape, text.encode("utf-8", "replace")).decode("ascii")


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode("ascii"))


def _escape(found: re.Match[bytes]) -> bytes:
    return b"+" if found[0] == b" " else b"%%%02X" % ord(found[0])
