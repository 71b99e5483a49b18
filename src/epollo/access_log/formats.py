r"""The formats of a line: Common, Combined, JSON Lines.

A line has three parts, so that each is made as rarely as may be: its beginning belongs to a peer and
a second, its middle is a pure function of the head of the request and of the answer, and only the end
is its own: the seconds that the answer took, which JSON tells.

Nothing of a request can end a line, or a part of one. In Common and Combined a control, a quote, a
backslash and every octet from 0x7f on is written ``\xHH``, as nginx does. In JSON each octet is the
character of the same number (ISO 8859-1), whatever it was meant for: so any octets make valid JSON,
and can be had back from it.

A head need not be one: what came in the place of a request is its first line, and has no fields.
"""

import json
import re
import time
from collections.abc import Callable

from epollo.annotations import Final
from epollo.http.dates import MONTH_NAMES
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

_SHOWN_OCTETS: Final = 8 * 1024
"""A request line or a field is shown up to this length; by default no request line is longer."""

_ABSENT: Final = b"-"

# request-line = method SP request-target SP HTTP-version           RFC 9112 section 3
_REQUEST_LINE: Final = compile_late(rb"([^ ]+) ([^ ]+) (HTTP/[0-9]\.[0-9])")

_UNSAFE: Final = compile_late(rb'[\x00-\x1f"\\\x7f-\xff]')
_ESCAPED: Final = {
    octet: f"\\x{octet:02X}" for octet in range(256) if _UNSAFE.match(bytes((octet,)))
}


class Format(NamedTuple):
    """How a line is written."""

    format_begin: Callable[[str, str, int], bytes]
    """Makes the beginning of the peer's address, the subject of its certificate (empty without one) and
    the second of the answer (since 1970)."""
    format_middle: Callable[[bytes, int, int], bytes]
    """Makes the middle of the request's head, the status, and the octets of content that were sent."""
    tells_seconds: bool
    """Whether the end is `format_end`; else the middle ends the line."""


def _format_begin(peer: str, subject: str, second: int) -> bytes:
    # A space would end the field.
    user = _escape(subject.encode()).replace(b" ", b"\\x20")
    year, month, day, hour, minute, number = time.gmtime(second)[:6]
    return b"%b - %b [%02d/%b/%04d:%02d:%02d:%02d +0000] " % (
        peer.encode(),
        user,
        day,
        MONTH_NAMES[month - 1],
        year,
        hour,
        minute,
        number,
    )


def _format_common(head: bytes, status: int, content_octets: int) -> bytes:
    return b'"%b" %d %d\n' % (_escape(_read_line(head)), status, content_octets)


def _format_combined(head: bytes, status: int, content_octets: int) -> bytes:
    return b'"%b" %d %d "%b" "%b"\n' % (
        _escape(_read_line(head)),
        status,
        content_octets,
        _escape(_read_field(_REFERER, head)),
        _escape(_read_field(_USER_AGENT, head)),
    )


def _escape(octets: bytes) -> bytes:
    if not octets:
        return _ABSENT
    if _UNSAFE.search(octets) is None:
        return octets
    return octets.decode("iso-8859-1").translate(_ESCAPED).encode("ascii")


def _format_json_begin(peer: str, subject: str, second: int) -> bytes:
    # RFC 3339.
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    begin = b'{"time":"%b","peer":%b,' % (moment.encode(), json.dumps(peer).encode())
    return begin + b'"subject":%b,' % json.dumps(subject).encode() if subject else begin


def _format_json_middle(head: bytes, status: int, content_octets: int) -> bytes:
    line = _read_line(head)
    found = _REQUEST_LINE.fullmatch(line)
    method, target, protocol = (None, None, None) if found is None else found.groups()
    members: dict[str, str | int | None] = {
        "method": _show(method),
        "target": _show(target),
        "protocol": _show(protocol),
        "status": status,
        "octets": content_octets,
        "referer": _show(_read_field(_REFERER, head)),
        "user_agent": _show(_read_field(_USER_AGENT, head)),
    }
    if found is None:
        members["request"] = _show(line)
    return json.dumps(members, separators=(",", ":"))[1:-1].encode() + b',"seconds":'


def _show(octets: bytes | None) -> str | None:
    return octets.decode("iso-8859-1") if octets else None


def format_end(microseconds: int) -> bytes:
    """Return the end of a line that tells how long an answer took: as seconds, like all units here."""
    return b"%d.%06d}\n" % divmod(max(0, microseconds), 1_000_000)


def _read_line(head: bytes) -> bytes:
    """Return the first line, without what ends it."""
    return head.partition(b"\r\n")[0][:_SHOWN_OCTETS]


def _make_field_pattern(name: bytes) -> re.Pattern[bytes]:
    return compile_late(rb"(?i)\r\n" + name + rb":[ \t]*([^\r\n]*)")


_REFERER: Final = _make_field_pattern(b"referer")
_USER_AGENT: Final = _make_field_pattern(b"user-agent")


def _read_field(pattern: re.Pattern[bytes], head: bytes) -> bytes:
    """Return the value of a field's first line; nothing if there is none."""
    found = pattern.search(head)
    return b"" if found is None else found[1].rstrip(b" \t")[:_SHOWN_OCTETS]


FORMATS: Final = {
    "common": Format(_format_begin, _format_common, tells_seconds=False),
    "combined": Format(_format_begin, _format_combined, tells_seconds=False),
    "json": Format(_format_json_begin, _format_json_middle, tells_seconds=True),
}
