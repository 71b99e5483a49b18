"""Whatever stands where chunks should, however split: the same end or refusal, and the RFC's grammar."""

import string

import h11

from epollo.protocols.http1.content import ChunkReader, Progress

TOKENS = (
    b"0\r\n", b"\r\n", b"1\r\nx\r\n", b"0\r\n\r\n", b";", b";a", b";a=b", b';a="b"', b' ; a\t= "\\""',
    b"=", b'"', b"\\", b"\t", b" ", b"X: 1\r\n", b"Content-Length: 5\r\n", b"fffffffffffffff",
    b"\x00", b"\xff",
)  # fmt: skip
OCTETS_LIMIT = 600
# Longer ones are refused, although the RFC sets no bound.
_LINE_OCTETS = 1024
_DIGITS_MAX = 15
_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
_TCHARS = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
_HEX_DIGITS = frozenset(string.hexdigits.encode())
_TEXT = frozenset((9, *range(0x20, 0x7F), *range(0x80, 0x100)))


def check(octets: bytes) -> None:
    """Read the octets as chunked content: whole, in parts, naively, and as h11 reads them."""
    outcome = _read(octets, len(octets) or 1)
    for step in (1, 3, 50):
        progress, position = _read(octets, step)
        assert progress is outcome[0], "another outcome when split"
        assert position == outcome[1] or progress is not Progress.FINISHED, "another end when split"
    progress, end = outcome
    if progress is not Progress.TOO_LARGE:
        is_whole = progress is Progress.FINISHED
        assert _read_naively(octets) == (end if is_whole else None), "not what the RFC says"
    if progress is Progress.FINISHED:
        assert end <= OCTETS_LIMIT
        theirs = _read_with_h11(octets)
        assert theirs is None or theirs == end, "another reader sees another end"


def _read(octets: bytes, step: int) -> tuple[Progress, int]:
    reader = ChunkReader(OCTETS_LIMIT)
    progress, position = Progress.UNFINISHED, 0
    for end in range(step, len(octets) + step, step):
        progress, taken = reader.read(octets[position:end], 0)
        position += taken
        if progress is not Progress.UNFINISHED:
            break
    return progress, position


def _read_with_h11(octets: bytes) -> int | None:
    """Return where h11 sees the end; None where it refuses or misses something."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(_HEAD + octets)
    try:
        while not isinstance(event := server.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return None
    except h11.RemoteProtocolError:
        return None
    return len(octets) - len(server.trailing_data[0])


def _read_naively(octets: bytes) -> int | None:
    """Read RFC 9112 section 7.1 without patterns; None where it is no whole chunked content."""
    place = 0
    size = 1
    while size:
        line, crlf, _ = octets[place:].partition(b"\r\n")
        digits = len(line) - len(line.lstrip(bytes(_HEX_DIGITS)))
        if not crlf or len(line) + 2 > _LINE_OCTETS or not 0 < digits <= _DIGITS_MAX:
            return None
        if not _is_extension(line[digits:]):
            return None
        size = int(line[:digits], 16)
        place += len(line) + 2
        if size:
            place += size + 2
            if octets[place - 2 : place] != b"\r\n":
                return None
    while True:
        line, crlf, _ = octets[place:].partition(b"\r\n")
        place += len(line) + 2
        name, colon, value = line.partition(b":")
        if not crlf or len(line) + 2 > _LINE_OCTETS:
            return None
        if not line:
            return place
        if not name or not colon or not _TCHARS.issuperset(name) or not _TEXT.issuperset(value):
            return None


def _is_extension(octets: bytes) -> bool:
    """Return whether octets are ``chunk-ext``, which may be empty (RFC 9112 section 7.1.1)."""
    while octets:
        semicolon = octets.lstrip(b" \t")
        if not semicolon.startswith(b";"):
            return False
        name, rest = _split_token(semicolon[1:].lstrip(b" \t"))
        if not name:
            return False
        octets = rest
        equals = rest.lstrip(b" \t")
        if equals.startswith(b"="):
            value = equals[1:].lstrip(b" \t")
            is_quoted = value.startswith(b'"')
            name, rest = _split_string(value) if is_quoted else _split_token(value)
            if not name:
                return False
            octets = rest
    return True


def _split_token(octets: bytes) -> tuple[bytes, bytes]:
    """Return the token that octets begin with, and the rest."""
    rest = octets.lstrip(bytes(_TCHARS))
    return octets[: len(octets) - len(rest)], rest


def _split_string(octets: bytes) -> tuple[bytes, bytes]:
    """Return the quoted string that octets begin with, empty where it is none, and the rest."""
    place = 1
    while place < len(octets) and octets[place] in _TEXT:
        if octets[place] == 0x22:
            return octets[: place + 1], octets[place + 1 :]
        if octets[place] == 0x5C:
            place += 1
            if place == len(octets) or octets[place] not in _TEXT:
                break
        place += 1
    return b"", octets
