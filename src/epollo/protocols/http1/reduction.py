r"""The lines of a head on which no answer depends, as one expression.

Facts: of a browser's twelve fields two or three decide the answer of a static server, and the
others differ from client to client, from page to page. To judge them line by line takes as long as all
else that is done for an answer that is recalled.
Decision: the names that count are compiled into an expression that matches valid lines of all other
fields, several in a row. To take its matches out of a head is one pass, whatever was seen before.
Consequence: nothing has to be remembered of lines that decide nothing.
Price: each letter of a name is written in both cases, since ``re.IGNORECASE`` triples the time.
"""

import re
from functools import lru_cache

from epollo.annotations import Final
from epollo.http.grammar import TCHAR, VALUE_OCTETS
from epollo.http.relevance import MARK_OCTETS, MARKS

COOKIE: Final = b"cookie"
# As browsers write it.
_COOKIE_LINE: Final = b"\r\nCookie: "
_COOKIE_LINE_OCTETS: Final = len(_COOKIE_LINE)
_COOKIE_END: Final = re.compile(VALUE_OCTETS + rb"(?=\r\n)")


@lru_cache(maxsize=8)  # Rules change more often than the fields that they look at.
def compile_irrelevant(relevant: frozenset[bytes]) -> re.Pattern[bytes]:
    r"""Return what matches valid field lines whose names are not among ``relevant``, in lower case.

    If a name has marks (`MARKS`), its lines without one are matched, too, unless ``relevant`` has the
    name with a colon (`WHOLE_ACCEPT`).

    A match begins with the CRLF before the first of them and ends before the CRLF behind the last. It
    never begins with an empty line, so that nothing behind a head is taken for a part of it. A line
    with an octet that it may not hold is left as it is: no CR before a match meets an LF behind it.
    """
    whole = {name[:-1] for name in relevant if name.endswith(b":")}
    names = {name.removesuffix(b":") for name in relevant}
    tails = [(name, b":" if name in whole else _format_tail(name)) for name in sorted(names)]
    line = rb"(?!%b)%b++:%b" % (_format_names(tails), TCHAR, VALUE_OCTETS)
    # The literal in front is what the engine searches for; more lines follow without a search.
    return re.compile(rb"\r\n(?<!\n\r\n)%b(?:\r\n%b)*(?=\r\n)" % (line, line))


def blank_cookie(head: bytes) -> bytes:
    """Return a head without the value of its first Cookie line; no octets without a valid one.

    The line stays, so that all heads with the same rest have as many lines. Cookies differ between
    clients; if one counts visits, even between requests.
    """
    begin = head.find(_COOKIE_LINE)
    if begin < 0:
        return b""
    begin += _COOKIE_LINE_OCTETS
    found = _COOKIE_END.match(head, begin)
    return b"" if found is None else head[:begin] + head[found.end() :]


def _format_tail(name: bytes) -> bytes:
    """Return an expression for what follows a name in a line that decides an answer."""
    marks = MARKS.get(name)
    if marks is None:
        return b":"
    either = marks.lower() + marks.upper()
    return b":[^\\r\\n%b]{0,%d}+[%b]" % (either, MARK_OCTETS, either)


def _format_names(tails: list[tuple[bytes, bytes]]) -> bytes:
    """Return an expression for exactly these names in either case, each with what follows it.

    A begin that several names share stands once, so that a line of another name is soon passed over.
    """
    endings: dict[bytes, list[tuple[bytes, bytes]]] = {}
    alternatives = [tail for name, tail in tails if not name]
    for name, tail in tails:
        if name:
            endings.setdefault(name[:1], []).append((name[1:], tail))
    alternatives += (_format_octet(first) + _format_names(rest) for first, rest in endings.items())
    return alternatives[0] if len(alternatives) == 1 else b"(?:%b)" % b"|".join(alternatives)


def _format_octet(octet: bytes) -> bytes:
    if octet.isalpha():
        return b"[%b%b]" % (octet.upper(), octet.lower())
    return re.escape(octet)
