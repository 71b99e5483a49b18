"""Content that is read piece by piece: held in memory, or in an open file of one version."""

import os
from collections.abc import Iterator

from epollo.annotations import Final, Protocol
from epollo.site.version import Version, version_of

PIECE_OCTETS: Final = 256 * 1024


class Readable(Protocol):
    """Content of a known length, in octets."""

    @property
    def length(self) -> int:
        """How many octets there are."""

    def read(self, offset: int, octets: int) -> bytes:
        """Return the octets from an offset on, fewer where there are no more."""


class HeldContent:
    """Content that is in memory as a whole."""

    __slots__ = ("length", "octets")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.length = len(octets)

    def read(self, offset: int, octets: int) -> bytes:
        """Return the octets from an offset on, fewer where there are no more."""
        if not offset and octets >= self.length:
            return self.octets
        return self.octets[offset : offset + octets]


class DescriptorContent:
    """Content in an open file, whose descriptor it closes unless that is taken from it.

    ``length`` is octets.
    """

    __slots__ = ("_descriptor", "length")

    def __init__(self, descriptor: int, length: int) -> None:
        self._descriptor = descriptor
        self.length = length

    def read(self, offset: int, octets: int) -> bytes:
        """Return the octets from an offset on, fewer where there are no more; raise `OSError`."""
        return os.pread(self._descriptor, octets, offset)

    @property
    def descriptor(self) -> int:
        """The descriptor, to be lent."""
        return self._descriptor

    def take_descriptor(self) -> int:
        """Return the descriptor, which from now on is the caller's to close."""
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def __del__(self) -> None:
        # Where no file could be made, there is none.
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)


class FileContent(DescriptorContent):
    """The content of one version of a file."""

    __slots__ = ("version",)

    def __init__(self, descriptor: int, version: Version) -> None:
        super().__init__(descriptor, version.octets)
        self.version = version

    def is_unchanged(self) -> bool:
        """Return whether the file is still the version that it was opened as."""
        try:
            return version_of(os.fstat(self._descriptor)) == self.version
        except OSError:
            return False


def read_pieces(content: Readable) -> Iterator[bytes]:
    """Yield the content in pieces of bounded length, in their order."""
    offset = 0
    while piece := content.read(offset, PIECE_OCTETS):
        yield piece
        offset += len(piece)
