"""Media types as they stand in Content-Type (RFC 9110 section 8.3.1)."""

from epollo.annotations import Final
from epollo.http.grammar import OWS, PARAMETER_VALUE, TCHAR
from epollo.patterns import compile_late

# media-type = type "/" subtype parameters
# parameters = *( OWS ";" OWS [ parameter ] )                        RFC 9110 section 5.6.6
_MEDIA_TYPE: Final = compile_late(
    rb"(%b++/%b++)((?:%b;%b(?:%b++=%b)?)*)" % (TCHAR, TCHAR, OWS, OWS, TCHAR, PARAMETER_VALUE)
)
_CHARSET: Final = compile_late(rb"(?i)[;\t ]charset=")
_TEXT: Final = compile_late(
    rb"text/.+|.+\+(?:json|xml|yaml)|application/(?:json|xml|javascript|yaml|toml|sql|wasm|x-sh)"
)


def is_media_type(value: bytes) -> bool:
    """Return whether the octets are a valid media type, with or without parameters."""
    return _MEDIA_TYPE.fullmatch(value) is not None


def has_charset(value: bytes) -> bool:
    """Return whether a media type says its charset."""
    return _CHARSET.search(value) is not None


def is_compressible(value: bytes) -> bool:
    """Return whether content of a type that is not in a table is likely to shrink: text, by its name."""
    return _TEXT.fullmatch(value.partition(b";")[0].strip().lower()) is not None
