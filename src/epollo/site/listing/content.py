"""The content of a page, collected piece by piece: no step takes as long as the page is.

A page of all entries has tens of megabytes. It goes into a file in memory (`KeptFile`) as it is made, is
hashed as it is made, and counts from its first piece to its last answer.
"""

from epollo.annotations import Final, Protocol
from epollo.http.message import FileSegment
from epollo.site.entity_tags import ContentTagger
from epollo.site.representation import KeptFile, Representation, represent
from epollo.site.sealed import SealedOctets

LARGE_OCTETS_LIMIT: Final = 256 * 1024 * 1024
"""What all pages of all entries that are being made or sent may take together."""


class NoRoomError(Exception):
    """There is no room for the rest of a page."""


class Content(Protocol):
    """What a page is collected in."""

    def add(self, piece: bytes) -> None:
        """Add the next piece; raise `NoRoomError`."""

    def finish(self) -> Representation:
        """Return all pieces as they are kept; raise `NoRoomError`."""


class ShortContent:
    """The content of a page with a bounded number of entries."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Add the next piece."""
        self._pieces.append(piece)

    def finish(self) -> Representation:
        """Return all pieces as they are kept."""
        content = b"".join(self._pieces)
        return represent(content)


class LargeContent:
    """The content of a page of all entries, in a file in memory."""

    def __init__(self) -> None:
        """Raise `NoRoomError` if the system gives no such file."""
        self._share = _Share()
        self._tagger = ContentTagger()
        try:
            self._octets = SealedOctets()
        except OSError:
            raise NoRoomError from None

    def add(self, piece: bytes) -> None:
        """Add the next piece; raise `NoRoomError`."""
        self._share.take(len(piece))
        self._tagger.add(piece)
        try:
            self._octets.append(piece)
        except OSError:
            raise NoRoomError from None

    def finish(self) -> Representation:
        """Return all pieces as they are kept; raise `NoRoomError`."""
        length = self._octets.length
        try:
            self._octets.seal()
            file = _LargeFile(self._octets, self._share)
        except OSError:
            raise NoRoomError from None
        return Representation(FileSegment(file, 0, length), length, self._tagger.tag().opaque)


class _Share:
    """What one page takes of the room that all pages share; it is given back when this object ends."""

    __slots__ = ("_octets",)

    taken = 0

    def __init__(self) -> None:
        self._octets = 0

    def take(self, octets: int) -> None:
        if _Share.taken + octets > LARGE_OCTETS_LIMIT:
            raise NoRoomError
        _Share.taken += octets
        self._octets += octets

    def __del__(self) -> None:
        _Share.taken -= self._octets


class _LargeFile(KeptFile):
    """The file of a long page: answers under way may refer to it after the page has ended."""

    __slots__ = ("_share",)

    def __init__(self, content: SealedOctets, share: _Share) -> None:
        super().__init__(content)
        self._share = share
