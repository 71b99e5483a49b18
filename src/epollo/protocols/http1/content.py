"""Reading past the content of a request (RFC 9112 sections 6 and 7).

A static server has no use for content, but must know where it ends: the octets behind it are the next
request. No octet of the content may ever be taken for a request.
"""

import re
from enum import Enum, auto

from epollo.annotations import Final
from epollo.http.grammar import OWS, PARAMETER_VALUE, TCHAR, VALUE_OCTETS
from epollo.patterns import compile_late

# chunk-size     = 1*HEXDIG                                          RFC 9112 section 7.1
# chunk-ext      = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
# chunk-ext-name = token                                             RFC 9112 section 7.1.1
# chunk-ext-val  = token / quoted-string
# No extension is known here, and each is ignored. Anything else behind the size is a fault.
_CHUNK_LINE_OCTETS: Final = rb"([0-9A-Fa-f]{1,15}+)(?:%b;%b%b++(?:%b=%b%b)?)*" % (
    *(OWS, OWS, TCHAR),
    *(OWS, OWS, PARAMETER_VALUE),
)
_CHUNK_LINE: Final = compile_late(_CHUNK_LINE_OCTETS)
# Chunks of up to fifteen octets: to look at each by itself takes far longer than to send it.
_TINY_CHUNKS: Final = compile_late(
    b"(?:%b)+" % b"|".join(rb"[%x%X]\r\n.{%d}\r\n" % (size, size, size) for size in range(1, 16)),
    re.DOTALL,
)
_WHOLE_CHUNK_LINE: Final = compile_late(_CHUNK_LINE_OCTETS + rb"\r\n")
_TRAILER_LINE_OCTETS: Final = TCHAR + rb"++:" + VALUE_OCTETS
_TRAILER_LINE: Final = compile_late(_TRAILER_LINE_OCTETS)
_WHOLE_TRAILER_LINE: Final = compile_late(_TRAILER_LINE_OCTETS + rb"\r\n")
_CRLF: Final = b"\r\n"
_LINE_OCTETS: Final = 1024


class Progress(Enum):
    """How far a reader came."""

    UNFINISHED = auto()
    FINISHED = auto()
    MALFORMED = auto()
    TOO_LARGE = auto()


class LengthReader:
    """Counts content that was announced by its length."""

    __slots__ = ("_missing",)

    def __init__(self, length: int) -> None:
        self._missing = length

    def read(self, octets: bytes, start: int) -> tuple[Progress, int]:
        """Read on from ``start``; return the progress and where reading stopped."""
        taken = min(self._missing, len(octets) - start)
        self._missing -= taken
        progress = Progress.UNFINISHED if self._missing else Progress.FINISHED
        return progress, start + taken


class ChunkReader:
    """Follows the chunked coding to its end, up to a limit of octets, framing included."""

    __slots__ = ("_budget", "_missing", "_state")

    def __init__(self, octets_limit: int) -> None:
        self._budget = octets_limit
        self._missing = 0
        self._state = _State.SIZE

    def read(self, octets: bytes, start: int) -> tuple[Progress, int]:
        """Read on from ``start``; return the progress and where reading stopped."""
        position = start
        while True:
            if self._state is _State.DATA:
                taken = min(self._missing, len(octets) - position)
                self._missing -= taken
                self._budget -= taken
                position += taken
                if self._budget < 0:
                    return Progress.TOO_LARGE, position
                if self._missing:
                    return Progress.UNFINISHED, position
                self._state = _State.DATA_END
            position = self._pass_whole(octets, position)
            end = octets.find(b"\n", position, position + _LINE_OCTETS)
            if end < 0:
                return self._judge_part(octets[position:]), position
            line = octets[position : end + 1]
            position = end + 1
            self._budget -= len(line)
            if not line.endswith(b"\r\n") or not self._is_accepted(line[:-2]):
                return Progress.MALFORMED, position
            if self._state is _State.END:
                return Progress.FINISHED, position
            if self._budget < 0:
                return Progress.TOO_LARGE, position

    def _pass_whole(self, octets: bytes, start: int) -> int:
        """Read past chunks, or trailer lines, that are here as a whole; return where the next begins.

        There may be thousands, of a few octets each. What comes in parts, exceeds the limit or is
        malformed is left to be judged line by line.
        """
        position = start
        limit = start + self._budget
        if self._state is _State.SIZE:
            if found := _TINY_CHUNKS.match(octets, position, limit):
                position = found.end()
            while found := _WHOLE_CHUNK_LINE.match(octets, position):
                data = found.end()
                end = data + int(found[1], 16) + 2
                if octets[end - 2 : end] != _CRLF or data + 2 == end or end > limit:
                    break
                if data - position > _LINE_OCTETS:
                    break
                position = end
        elif self._state is _State.TRAILER:
            while found := _WHOLE_TRAILER_LINE.match(octets, position):
                end = found.end()
                if end > limit or end - position > _LINE_OCTETS:
                    break
                position = end
        self._budget = limit - position
        return position

    def _is_accepted(self, line: bytes) -> bool:
        """Take one line; return whether it is valid in this state."""
        if self._state is _State.DATA_END:
            self._state = _State.SIZE
            return not line
        if self._state is _State.SIZE:
            found = _CHUNK_LINE.fullmatch(line)
            if found is None:
                return False
            self._missing = int(found[1], 16)
            self._state = _State.DATA if self._missing else _State.TRAILER
            return True
        if not line:
            self._state = _State.END
            return True
        return _TRAILER_LINE.fullmatch(line) is not None

    def _judge_part(self, part: bytes) -> Progress:
        """Judge a line whose end is missing."""
        if self._state is _State.DATA_END:
            is_possible = b"\r\n".startswith(part)
        else:
            is_possible = len(part) < _LINE_OCTETS and b"\r" not in part[:-1]
        return Progress.UNFINISHED if is_possible else Progress.MALFORMED


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()
