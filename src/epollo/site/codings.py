"""Content codings: br, zstd and gzip, made and undone (RFC 9110 section 8.4.1)."""

import mmap
import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli

from epollo.annotations import Final, Protocol
from epollo.named_tuples import NamedTuple
from epollo.site.decoding import Decode, decode_brotli, decode_gzip, decode_zstd
from epollo.site.zstd import ZstdCompressor

LARGE_OCTETS: Final = 4 * 1024 * 1024
"""Content from this length on is coded once, with an effort that is not the best.

Of 20 MB of machine code br 6 makes 6.82 MB in 1.7 seconds of a processor, br 9 6.58 in 14.
"""
CODED_OCTETS_LIMIT: Final = 64 * 1024 * 1024
"""Content longer than this is not coded."""

# A coded representation is kept where it is this much shorter: less is not worth its memory.
_WORTHWHILE_SHARE: Final = 0.95


class Effort(NamedTuple):
    """The levels of a coding: quick, as small as can be, and for content that is large."""

    quick: int
    best: int
    large: int


class Encoder(Protocol):
    """Octets in, coded octets out."""

    def encode(self, octets: bytes) -> bytes:
        """Take octets; return what is finished of their coding."""

    def finish(self) -> bytes:
        """Return the rest."""


class Coding(NamedTuple):
    """A content coding: its name, the suffix of its sidecar files, its levels, and how it is undone.

    ``encoder`` takes a level and how many octets there will be.
    """

    name: bytes
    suffix: bytes
    effort: Effort
    encoder: Callable[[int, int], Encoder]
    decode: Decode


class _Gzip:
    def __init__(self, level: int, octets: int) -> None:  # noqa: ARG002
        stream = zlib.compressobj(level, zlib.DEFLATED, wbits=31)
        self.encode, self.finish = stream.compress, stream.flush


# With a reserve: measured were 24 MiB up to this level, or up to this length, and 64 above.
_FRUGAL_LEVEL: Final = 6
_FRUGAL_OCTETS: Final = 128 * 1024
_FRUGAL_MEMORY_OCTETS: Final = 40 * 1024 * 1024
_MEMORY_OCTETS: Final = 112 * 1024 * 1024


def _require_memory(octets: int) -> None:
    """Raise `MemoryError` if the process cannot have this much more memory.

    The library of brotli ends the process where it is refused some (BROTLI_ENCODER_EXIT_ON_OOM).
    """
    try:
        # Nothing is written to it, so that it costs two system calls and no memory.
        mmap.mmap(-1, octets).close()
    except OSError as error:
        raise MemoryError from error


class _Brotli:
    def __init__(self, level: int, octets: int) -> None:
        is_small = level <= _FRUGAL_LEVEL or octets <= _FRUGAL_OCTETS
        _require_memory(_FRUGAL_MEMORY_OCTETS if is_small else _MEMORY_OCTETS)
        stream = brotli.Compressor(quality=level)
        self.encode, self.finish = stream.process, stream.finish


class _Zstd:
    def __init__(self, level: int, octets: int) -> None:
        stream = ZstdCompressor(level=level)
        stream.set_pledged_input_size(octets)
        self.encode, self.finish = stream.compress, stream.flush


CODINGS: Final = (
    Coding(b"gzip", b".gz", Effort(1, 9, 6), _Gzip, decode_gzip),
    Coding(b"br", b".br", Effort(4, 11, 6), _Brotli, decode_brotli),
    # Level 19 is the highest whose window every client has to accept (RFC 9659).
    Coding(b"zstd", b".zst", Effort(3, 19, 9), _Zstd, decode_zstd),
)


CODING_NAMES: Final = frozenset(coding.name for coding in CODINGS)


def select_codings(name: bytes) -> tuple[Coding, ...]:
    """Return the one coding of this name."""
    return tuple(coding for coding in CODINGS if coding.name == name)


def encode_pieces(
    coding: Coding, level: int, octets: int, pieces: Iterable[bytes]
) -> Iterator[bytes]:
    """Yield the coding of pieces that are ``octets`` long together."""
    encoder = coding.encoder(level, octets)
    for piece in pieces:
        if coded := encoder.encode(piece):
            yield coded
    yield encoder.finish()


def worthwhile_octets(octets: int) -> int:
    """Return how long a coding of this many octets may be to be kept."""
    return int(octets * _WORTHWHILE_SHARE)
