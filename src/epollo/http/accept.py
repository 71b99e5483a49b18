"""What a client would rather have: the field Accept (RFC 9110 section 12.5.1)."""

from epollo.annotations import Final
from epollo.http.grammar import OWS_OCTETS, parse_list, parse_weight

_HTML_TYPES: Final = frozenset((b"text/html", b"application/xhtml+xml"))


def prefers_json(accept: bytes) -> bool:
    """Return whether an Accept field asks for JSON rather than HTML (RFC 9110 section 12.5.1).

    If the weights are equal, the type that is named more precisely wins; otherwise HTML does.
    """
    members = [_parse_member(member) for member in parse_list(accept.lower())]
    json, html = (_weigh(members, one) for one in (b"application/json", b"text/html"))
    return json[0] > 0 and json > html


def names_html(accept: bytes | None) -> bool:
    """Return whether an Accept field names HTML, as browsers do that show a page."""
    members = map(_parse_member, parse_list((accept or b"").lower()))
    return any(weight and media_range in _HTML_TYPES for media_range, weight in members)


def _parse_member(member: bytes) -> tuple[bytes, int]:
    """Return a media range and its weight in thousandths."""
    media_range, *parameters = (part.strip(OWS_OCTETS) for part in member.split(b";"))
    weights = [parse_weight(one[2:]) for one in parameters if one.startswith(b"q=")]
    return media_range, (weights[0] or 0) if weights else 1000


def _weigh(members: list[tuple[bytes, int]], media_type: bytes) -> tuple[int, int]:
    """Return the weight of a media type, and how precisely it is asked for."""
    ranges = (b"*/*", media_type.partition(b"/")[0] + b"/*", media_type)
    found = [(ranges.index(one), weight) for one, weight in members if one in ranges]
    precision, weight = max(found, default=(-1, 0))
    return weight, precision
