"""Files that are in a content coding themselves, and are asked for by that name: ``app.wasm.br``.

Facts: some build tools (Unity) write a page that asks for ``app.wasm.br`` and expects Content-Encoding
with it. Others offer ``site.tar.gz`` for download, which has to stay what it is. The name does not tell
the two apart.
Decision: a rule of the site says which files are meant (``Content-Encoding`` in ``_headers``). It is
believed where the begin of the content is in that coding; the media type is then that of the name without
its ending.
Price: a client that did not ask for the coding gets it all the same: there is no other representation.
"""

import copy
import zlib
from collections.abc import Callable

import brotli

from epollo.annotations import Final
from epollo.http.content_coding import IDENTITY
from epollo.http.zstandard import HEADER_OCTETS_LIMIT, parse_frame_header
from epollo.site.media_types import MediaType
from epollo.site.representation import Edition
from epollo.site.zstd import ZstdDecompressor, ZstdError

HEAD_OCTETS: Final = 16 * 1024
"""How much of the content is looked at."""

_OUTPUT_OCTETS: Final = 64 * 1024
_ENDINGS: Final = {b"br": (b".br",), b"gzip": (b".gz", b".gzip"), b"zstd": (b".zst", b".zstd")}


def select_encoded(
    edition: Edition,
    name: bytes,
    coding: bytes,
    head: Callable[[], bytes],
    select_media_type: Callable[[bytes], MediaType],
) -> Edition:
    """Return an edition as the file in a coding that a rule says it to be; as it is where it is not.

    ``head`` returns the first `HEAD_OCTETS` of the content; it is called once for each coding.
    """
    if edition.own_coding != IDENTITY:
        return edition
    types = edition.types_encoded
    if types is None:
        types = edition.types_encoded = {}
    if coding not in types:
        types[coding] = (
            select_media_type(_remove_ending(name, coding))._replace(is_compressible=False)
            if begins_in(coding, head())
            else None
        )
    media_type = types[coding]
    if media_type is None:
        return edition
    encoded = copy.copy(edition)
    encoded.own_coding = coding
    encoded.media_type = media_type
    return encoded


def _remove_ending(name: bytes, coding: bytes) -> bytes:
    ending = next((one for one in _ENDINGS[coding] if name.endswith(one)), b"")
    return name.removesuffix(ending)


def begins_in(coding: bytes, head: bytes) -> bool:
    """Return whether content that begins with these octets may be in a coding."""
    if not head:
        return False
    try:
        if coding == b"gzip":
            zlib.decompressobj(wbits=31).decompress(head, _OUTPUT_OCTETS)
        elif coding == b"br":
            brotli.Decompressor().process(head, output_buffer_limit=_OUTPUT_OCTETS)
        elif parse_frame_header(head[:HEADER_OCTETS_LIMIT]) is None:
            return False
        else:
            ZstdDecompressor().decompress(head, _OUTPUT_OCTETS)
    except (zlib.error, brotli.error, ZstdError):
        return False
    return True
