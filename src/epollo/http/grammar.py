"""The grammar that the fields of HTTP share, as patterns over octets (RFC 9110 section 5).

The patterns are meant for ``fullmatch``. Each is linear in the length of what it reads. A set of octets
is repeated possessively (``++``) and gives none back. A group that is repeated begins with an octet
with which nothing behind the group can begin.

Fact: up to 3.11.4, CPython matches a group that is repeated possessively, or is atomic, wrongly where the
group itself goes back (its issue 106052): ``(?:;q=.*)?+`` takes the ``;`` alone.
Decision: only sets of octets are repeated possessively.
"""

import re
import sys
from itertools import islice
from operator import methodcaller

from epollo.annotations import Final
from epollo.patterns import compile_late

# OWS = *( SP / HTAB )                                               RFC 9110 section 5.6.3
OWS: Final = rb"[\t ]*+"

# The octets of OWS, for ``bytes.strip``.
OWS_OCTETS: Final = b" \t"
_STRIP: Final = methodcaller("strip", OWS_OCTETS)

# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." /
#         "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA                RFC 9110 section 5.6.2
TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

# token = 1*tchar                                                    RFC 9110 section 5.6.2
TOKEN: Final = re.compile(TCHAR + rb"++")

# field-value   = *field-content                                     RFC 9110 section 5.5
# field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
# field-vchar   = VCHAR / obs-text
# obs-text      = %x80-FF
FIELD_VALUE: Final = compile_late(rb"(?:[\x21-\x7e\x80-\xff]++(?:[\t ]++[\x21-\x7e\x80-\xff]++)*)?")

# field-value and the OWS around it, as a field line has them          RFC 9112 section 5
VALUE_OCTETS: Final = rb"[\t\x20-\x7e\x80-\xff]*+"

# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE            RFC 9110 section 5.6.4
# qdtext        = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text
# quoted-pair   = "\" ( HTAB / SP / VCHAR / obs-text )
_QUOTED_STRING: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[\t \x21-\x7e\x80-\xff])*"'
QUOTED_STRING: Final = compile_late(_QUOTED_STRING)

# A parameter's value: token / quoted-string                         RFC 9110 section 5.6.6
PARAMETER_VALUE: Final = rb"(?:%b++|%b)" % (TCHAR, _QUOTED_STRING)

# weight = OWS ";" OWS "q=" qvalue                                   RFC 9110 section 12.4.2
# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_QVALUE: Final = compile_late(rb"0(?:\.[0-9]{0,3}+)?|1(?:\.0{0,3}+)?")

# An element of a list up to the next comma that stands outside of a quoted string. A quoted string
# that is never closed takes the rest of the value: were its DQUOTE read as an ordinary octet
# instead, many of them would make the search quadratic.
_ELEMENT: Final = compile_late(rb'(?:[^",]++|"(?:[^"\\]++|\\.)*"?)+', re.DOTALL)


def parse_weight(octets: bytes) -> int | None:
    """Return a qvalue in thousandths, 0 to 1000, or None if it is none.

    RFC 9110 section 12.4.2.
    """
    if _QVALUE.fullmatch(octets) is None:
        return None
    return int(octets.replace(b".", b"").ljust(4, b"0"))


def parse_list(value: bytes, elements_limit: int = sys.maxsize) -> list[bytes]:
    """Return the elements of a comma-separated list, without white space around them.

    Empty elements are left out (RFC 9110 section 5.6.1.2), commas in quoted strings separate
    nothing. What an element may hold is for its reader to judge. Beyond ``elements_limit``, which counts
    empty ones too, none is looked at.
    """
    if b'"' not in value:
        elements = value.split(b",", -1 if elements_limit == sys.maxsize else elements_limit)
        del elements[elements_limit:]
    elif elements_limit == sys.maxsize:
        elements = _ELEMENT.findall(value)
    else:
        elements = [found[0] for found in islice(_ELEMENT.finditer(value), elements_limit)]
    # Without a step of the interpreter for each: there may be thousands of empty ones.
    return list(filter(None, map(_STRIP, elements)))
