"""Plain HTTP that came where TLS is spoken: the URL of the same thing over TLS."""

import re
from typing import Final

from epollo.http.fields import is_host

_REQUEST_LINE: Final = re.compile(rb"[A-Z]{3,16} ([^ \r\n]{1,8000})(?: HTTP/1\.[0-9])?\r?\n")
_BEGIN: Final = re.compile(rb"[A-Z]{3,16} ")
_HOST: Final = re.compile(rb"\r?\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n \t]+)[ \t]*\r?\n")
# Nothing of it means anything in HTML, nor has to be encoded in a URL.
_PLAIN_PATH: Final = re.compile(rb"/[A-Za-z0-9/._~%-]*")
_PLAIN_HOST: Final = re.compile(rb"[A-Za-z0-9.:\[\]-]+")


def find_link(octets: bytes) -> bytes | None:
    """Return the https URL of what a plain request asks for; None where this is no plain HTTP.

    Empty where it is some, but its host is not told.
    """
    if _BEGIN.match(octets) is None:
        return None
    line, host = _REQUEST_LINE.match(octets), _HOST.search(octets)
    if line is None or host is None or not (is_host(host[1]) and _PLAIN_HOST.fullmatch(host[1])):
        return b""
    path = line[1] if _PLAIN_PATH.fullmatch(line[1]) else b"/"
    return b"https://%b%b" % (host[1], path)
