"""Which coding of a content a client gets (RFC 9110 section 12.5.3).

A field value is first reduced to a ``CodingPreference``: what the client accepts of the codings that we
know. The reduction does not depend on the file, and values that differ only in form have equal
preferences. So a caller can keep the preference of a value, and what that led to.

Decisions where the RFC leaves room:

- An element that is malformed (a weight above 1, a parameter other than q) is ignored; the rest of
  the value counts.
- A coding that is named twice has the lower of its weights: a refusal is not taken back.
- ``*`` covers identity as well, as its ``q=0`` does by the letter.
- Identity that nothing in the value speaks of is acceptable and comes last.
- Only the first `_ELEMENTS_MAX` elements count: to read one costs more than to send it.
- Without the field every coding is acceptable; identity is what a client that does not speak of
  codings can read for certain.
"""

import re
from collections.abc import Mapping

from epollo.annotations import Final
from epollo.http.grammar import OWS, TCHAR, parse_list, parse_weight
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

IDENTITY: Final = b"identity"

# Earlier ones are chosen where weight and size are the same.
_CODINGS: Final = (IDENTITY, b"br", b"zstd", b"gzip")

# What a field may call them; x-gzip is gzip (RFC 9110 section 8.4.1.3).
_KNOWN: Final = {
    **{coding: coding for coding in _CODINGS},
    b"x-gzip": b"gzip",
    b"*": b"*",
}

# Accept-Encoding = #( codings [ weight ] )                          RFC 9110 section 12.5.3
# codings         = content-coding / "identity" / "*"
# weight          = OWS ";" OWS "q=" qvalue                          RFC 9110 section 12.4.2
# Whether what follows "q=" is a qvalue is for ``parse_weight`` to say.
_ELEMENT: Final = compile_late(rb"(%b++)(?:%b;%b[qQ]=(.*+))?" % (TCHAR, OWS, OWS), re.DOTALL)

_WEIGHT_MAX: Final = 1000
_ELEMENTS_MAX: Final = 100

# The weight of what is acceptable but was not asked for: less than any that a field can give, since
# a weight of 0 is a refusal (RFC 9110 section 12.4.2).
_UNASKED: Final = 0


class CodingPreference(NamedTuple):
    """The acceptable ones of the codings that we know, each with its weight in thousandths."""

    weights: tuple[tuple[bytes, int], ...]


_WITHOUT_FIELD: Final = CodingPreference(
    ((IDENTITY, _WEIGHT_MAX), *((coding, _UNASKED) for coding in _CODINGS[1:]))
)


def parse_accept_encoding(value: bytes | None) -> CodingPreference:
    """Return what an Accept-Encoding field prefers; None stands for a request without the field.

    An empty value accepts identity only (RFC 9110 section 12.5.3).
    """
    if value is None:
        return _WITHOUT_FIELD
    named: dict[bytes, int] = {}
    for element in parse_list(value, _ELEMENTS_MAX):
        found = _ELEMENT.fullmatch(element)
        if found is None:
            continue
        coding = _KNOWN.get(found[1].lower())
        if coding is None:
            continue
        weight = _WEIGHT_MAX if found[2] is None else parse_weight(found[2])
        if weight is not None:
            named[coding] = min(weight, named.get(coding, weight))
    rest = named.get(b"*")
    weights = []
    for coding in _CODINGS:
        weight = named.get(coding, rest)
        if weight:
            weights.append((coding, weight))
        elif weight is None and coding is IDENTITY:
            weights.append((coding, _UNASKED))
    return CodingPreference(tuple(weights))


def select_coding(preference: CodingPreference, sizes: Mapping[bytes, int]) -> bytes | None:
    """Return the acceptable coding of the greatest weight and, among these, of the smallest size.

    ``sizes`` has the octets of the content in each coding that is at hand, identity included. None
    if none of these is acceptable.
    """
    selected = None
    selected_weight = selected_size = -1
    for coding, weight in preference.weights:
        size = sizes.get(coding)
        if size is None:
            continue
        if weight > selected_weight or (weight == selected_weight and size < selected_size):
            selected, selected_weight, selected_size = coding, weight, size
    return selected
