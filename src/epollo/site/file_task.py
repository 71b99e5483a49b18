"""What is made in the background of a file that is too large to be kept: its codings, its charset.

The file is read piece by piece, and what is made of it goes into a sealed file in memory, so that little
else is held. A sidecar file is read through once and then sent from its place, as the file itself is.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from epollo.annotations import TypeAlias
from epollo.http.charset import is_announced_as_utf8
from epollo.http.validators import EntityTag
from epollo.named_tuples import NamedTuple
from epollo.site.codings import (
    CODED_OCTETS_LIMIT,
    CODINGS,
    LARGE_OCTETS,
    Coding,
    encode_pieces,
    worthwhile_octets,
)
from epollo.site.entity_tags import tag_pieces
from epollo.site.pieces import FileContent, Readable, read_pieces
from epollo.site.sealed import Coded, seal
from epollo.site.sidecars import find_fault
from epollo.site.zstd import ZstdError

GiveWay: TypeAlias = Callable[[], None]
HandOn: TypeAlias = Callable[[Callable[[], None]], None]


class UnwantedError(Exception):
    """What is being made is of no use any more, or too long to be kept."""


class FileTask(NamedTuple):
    """A file to be coded.

    ``sidecars`` are open files beside it that claim to be a coding of it, by name of the coding.
    ``text_type`` is the media type of text whose charset is to be found, ``coded_octets_limit`` how
    long a coding may be to be kept. ``is_wanted`` returns whether the result is still of use.
    ``announce`` is called if the text is UTF-8, ``done`` with the name of a coding and its octets.
    ``use`` is called with the name of a coding whose sidecar clients can read, ``refuse`` with the
    suffix of any other and the reason.
    """

    content: FileContent
    sidecars: Mapping[bytes, FileContent]
    text_type: bytes | None
    coded_octets_limit: int
    is_wanted: Callable[[], bool]
    announce: Callable[[], None]
    done: Callable[[bytes, Coded], None]
    use: Callable[[bytes, FileContent, EntityTag], None]
    refuse: Callable[[bytes, str], None]

    @property
    def needs_reading(self) -> bool:
        """Whether there is something to `prepare`."""
        return bool(self.sidecars) or self.text_type is not None

    @property
    def limit(self) -> int:
        """How long a coding may be, in octets."""
        return min(worthwhile_octets(self.content.length), self.coded_octets_limit)

    def run(self, give_way: GiveWay, hand_on: HandOn) -> dict[bytes, int]:
        """Make all codings, and return of those that could be made better how long they may be then."""
        return self.make(self.prepare(give_way, hand_on), give_way, hand_on)

    def prepare(self, give_way: GiveWay, hand_on: HandOn) -> list[Coding]:
        """Find the charset and the sidecars that can be used; return the codings that are to be made.

        ``give_way`` is called between two pieces, ``hand_on`` with what is done.
        """
        with _suppress_what_ends_it():
            self._find_charset(give_way, hand_on)
        wanted = []
        for coding in CODINGS:
            with _suppress_what_ends_it():
                if not self._use_sidecar(coding, give_way, hand_on):
                    wanted.append(coding)
        return wanted

    def make(
        self, codings: Iterable[Coding], give_way: GiveWay, hand_on: HandOn
    ) -> dict[bytes, int]:
        """Make codings; return, for those that can be made better, how long a better one may be."""
        made: dict[bytes, int] = {}
        for coding in codings:
            made[coding.name] = self.limit
            with _suppress_what_ends_it():
                level = coding.effort.large
                made[coding.name] = self._code(coding, level, self.limit, give_way, hand_on) - 1
        return made if self.content.length < LARGE_OCTETS else {}

    def improve(self, limits: Mapping[bytes, int], give_way: GiveWay, hand_on: HandOn) -> None:
        """Make codings as small as can be, where that is no longer than their limits."""
        for coding in CODINGS:
            if coding.name in limits:
                with _suppress_what_ends_it():
                    level = coding.effort.best
                    self._code(coding, level, limits[coding.name], give_way, hand_on)

    def _find_charset(self, give_way: GiveWay, hand_on: HandOn) -> None:
        if self.text_type is None:
            return
        attentive = _Attentive(self.content, self.is_wanted, give_way)
        is_utf8 = is_announced_as_utf8(self.text_type, read_pieces(attentive))
        if is_utf8 and self.content.is_unchanged():
            hand_on(self.announce)

    def _use_sidecar(self, coding: Coding, give_way: GiveWay, hand_on: HandOn) -> bool:
        """Use the sidecar of a coding if clients can read it; return whether it is used."""
        sidecar = self.sidecars.get(coding.name)
        if sidecar is None:
            return False
        attentive = _Attentive(sidecar, self.is_wanted, give_way)
        fault = find_fault(coding, attentive, self.content)
        if not (self.content.is_unchanged() and sidecar.is_unchanged()):
            raise UnwantedError
        if fault is not None:
            hand_on(lambda: self.refuse(coding.suffix, fault))
            return False
        entity_tag = tag_pieces(read_pieces(attentive))
        if not sidecar.is_unchanged():
            raise UnwantedError
        hand_on(lambda: self.use(coding.name, sidecar, entity_tag))
        return True

    def _code(
        self, coding: Coding, level: int, limit: int, give_way: GiveWay, hand_on: HandOn
    ) -> int:
        """Make a coding and hand it on; return how long it is.

        Raise `UnwantedError` if it is of no use: longer than the limit, or of another version.
        """
        octets = self.content.length
        if octets > CODED_OCTETS_LIMIT or not self.is_wanted():
            raise UnwantedError
        attentive = _Attentive(self.content, self.is_wanted, give_way)
        coded = encode_pieces(coding, level, octets, read_pieces(attentive))
        sealed = seal(_limit(coded, limit))
        if attentive.read_to != octets or not self.content.is_unchanged():
            raise UnwantedError
        entity_tag = tag_pieces(read_pieces(sealed))
        # What is handed on belongs to the loop: from here on only its length is known.
        length = sealed.length
        hand_on(lambda: self.done(coding.name, Coded(sealed, entity_tag)))
        return length


def _suppress_what_ends_it() -> contextlib.suppress:
    """Continue with the next coding if one came to nothing.

    `AttributeError`: this Python was made without memfd_create. `ZstdError`: the file was cut off.
    """
    return contextlib.suppress(UnwantedError, OSError, AttributeError, ZstdError)


class _Attentive:
    """Content that is read as long as it is wanted, and gives way before each piece."""

    def __init__(self, content: Readable, is_wanted: Callable[[], bool], give_way: GiveWay) -> None:
        self._content = content
        self._is_wanted = is_wanted
        self._give_way = give_way
        self.length = content.length
        self.read_to = 0

    def read(self, offset: int, octets: int) -> bytes:
        """Return octets; raise `UnwantedError` if they are of no use any more."""
        self._give_way()
        if not self._is_wanted():
            raise UnwantedError
        piece = self._content.read(offset, octets)
        self.read_to = max(self.read_to, offset + len(piece))
        return piece


def _limit(pieces: Iterator[bytes], octets: int) -> Iterator[bytes]:
    """Yield the pieces; raise `UnwantedError` if they are more octets together."""
    for piece in pieces:
        octets -= len(piece)
        if octets < 0:
            raise UnwantedError
        yield piece
