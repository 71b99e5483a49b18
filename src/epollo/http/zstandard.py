"""The header of a Zstandard frame (RFC 8878 section 3.1.1), and what a client has to be able to read.

A decoder refuses a frame by its header alone: by the window that it declares, however short its content
is, or by a dictionary that the decoder does not have.
"""

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

WINDOW_OCTETS_LIMIT: Final = 8 * 1024 * 1024
"""A frame of the content coding must not declare a larger window (RFC 9659 section 3)."""
HEADER_OCTETS_LIMIT: Final = 18
"""The magic number, a descriptor, a window, a dictionary of 4 octets and a content size of 8."""

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_DICTIONARY_OCTETS: Final = (0, 1, 2, 4)
_CONTENT_SIZE_OCTETS: Final = (0, 2, 4, 8)


class FrameHeader(NamedTuple):
    """What a frame says of itself; ``content_octets`` is None if it does not say it.

    ``dictionary`` is the number of a dictionary, 0 for none.
    """

    window_octets: int
    dictionary: int
    content_octets: int | None


def parse_frame_header(octets: bytes) -> FrameHeader | None:
    """Return the header that the octets begin with; None if they do not, or if it is not whole.

    A skippable frame (RFC 8878 section 3.1.2) has no such header.
    """
    if not octets.startswith(_MAGIC) or len(octets) <= len(_MAGIC):
        return None
    descriptor = octets[4]
    is_single_segment = bool(descriptor & 0x20)
    has_reserved_bit = bool(descriptor & 0x08)
    at_dictionary = 5 if is_single_segment else 6
    at_content = at_dictionary + _DICTIONARY_OCTETS[descriptor & 0x03]
    content_size_octets = _CONTENT_SIZE_OCTETS[descriptor >> 6] or int(is_single_segment)
    if has_reserved_bit or len(octets) < at_content + content_size_octets:
        return None
    content_octets = None
    if content_size_octets:
        field = octets[at_content : at_content + content_size_octets]
        # A size in two octets counts from 256 (RFC 8878 section 3.1.1.1.4).
        content_octets = int.from_bytes(field, "little") + 256 * (content_size_octets == 2)
    if is_single_segment:
        window_octets = content_octets or 0
    else:
        base = 1 << (10 + (octets[5] >> 3))
        window_octets = base + (base // 8) * (octets[5] & 0x07)
    dictionary = int.from_bytes(octets[at_dictionary:at_content], "little")
    return FrameHeader(window_octets, dictionary, content_octets)
