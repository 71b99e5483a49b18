"""Plain HTTP that came where TLS is spoken: the URL of the same thing over TLS."""

import re

from epollo.annotations import Final
from epollo.http.fields import is_host

_REQUEST_LINE: Final = re.compile(rb"[A-Z]{3,16} ([^ \r\n]{1,8000})(?: HTTP/1\.[0-9])?\r?\n")
_BEGIN: Final = re.compile(rb"[A-Z]{3,16} ")
_HOST: Final = re.compile(rb"\r?\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n \t]+)[ \t]*\r?\n")
# What may stand in a path or query (RFC 3986 sections 3.3 and 3.4), and what is encoded already.
_NOT_IN_PATH: Final = re.compile(rb"[^!$%&()*+,\-./0-9:;=?@A-Z_a-z~]")
_PLAIN_HOST: Final = re.compile(rb"[A-Za-z0-9.:\[\]-]+")


def find_link(octets: bytes) -> bytes | None:
    """Return the https URL of what a plain request asks for; None if this is no plain HTTP.

    Empty if it is plain HTTP without a host that can be read. The only octet in the URL that means
    something in HTML is ``&``.
    """
    if _BEGIN.match(octets) is None:
        return None
    line, host = _REQUEST_LINE.match(octets), _HOST.search(octets)
    if line is None or host is None or not (is_host(host[1]) and _PLAIN_HOST.fullmatch(host[1])):
        return b""
    path = line[1] if line[1].startswith(b"/") else b"/"
    path = _NOT_IN_PATH.sub(lambda found: b"%%%02X" % found[0][0], path)
    return b"https://%b%b" % (host[1], path)
