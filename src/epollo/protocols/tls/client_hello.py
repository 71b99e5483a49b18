"""The ClientHello: which server a client asks for, and which protocols it speaks, before any session.

A TLS library tells of the name only in the middle of a handshake, and Python's continues where no
application protocol is shared. So epollo reads the first message itself, decides, and hands the same
bytes to the library, which judges all the rest of it.
"""

from struct import Struct
from struct import error as StructError  # noqa: N812 - a class

from epollo.annotations import Final
from epollo.generations import Generations
from epollo.named_tuples import NamedTuple
from epollo.protocols.tls.alerts import Alert
from epollo.protocols.tls.hello_shapes import HelloShapes

_LIMIT_OCTETS: Final = 64 * 1024
"""With the heads of records. No client needs more: hybrid key shares take some 1,200 octets."""
_RECORD_OCTETS_LIMIT: Final = 16 * 1024
"""RFC 8446 section 5.1."""
_HANDSHAKE: Final = 22
_MAJOR_VERSION: Final = 3
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_ALPN: Final = 16
_RECORD_HEAD: Final = 5
_MESSAGE_HEAD: Final = 4
_SESSION_ID: Final = _MESSAGE_HEAD + 2 + 32
"""Behind the version and the random octets of a message."""

_KEPT_LISTS: Final = 128
_KEPT_OCTETS: Final = 16 * 1024
# What was read of extensions: each look-up saves some hundred steps for a connection.
_server_names: Final = Generations[bytes, bytes](
    entries_limit=_KEPT_LISTS, octets_limit=_KEPT_OCTETS
)
_protocols: Final = Generations[bytes, tuple[bytes, ...]](
    entries_limit=_KEPT_LISTS, octets_limit=_KEPT_OCTETS
)

# Heads of a record and of the message in it: type, version, length; type, length.
_read_heads: Final = Struct(">BBxHBBH").unpack_from
_read_two: Final = Struct(">H").unpack_from
_read_pair: Final = Struct(">HH").unpack_from


class MalformedHelloError(Exception):
    """What a client sent is no ClientHello; ``alert`` is what it is to be told."""

    def __init__(self, alert: Alert) -> None:
        super().__init__(alert)
        self.alert = alert


class ClientHello(NamedTuple):
    """What a client says first.

    ``server_name`` is in lower case without a final dot, empty if the client names none (RFC 6066
    section 3). ``protocols`` are those of ALPN (RFC 7301), in the order of the client; none where it
    does not use ALPN.
    """

    server_name: bytes
    protocols: tuple[bytes, ...]


_shapes: Final = HelloShapes[ClientHello](frozenset((_SERVER_NAME, _ALPN)))


def parse_client_hello(octets: bytes) -> ClientHello | None:
    """Return what a client says in these octets from the begin of its connection; None for "not yet".

    Raises `MalformedHelloError` as soon as they cannot become a ClientHello. What does not matter here
    (versions, suites, other extensions) is left to the TLS library.
    """
    return parse_whole(octets) or HelloReader().receive(octets)


def parse_whole(octets: bytes) -> ClientHello | None:
    """Return what a client says in one record that is the whole message, as nearly all are.

    None if `HelloReader` has to say what they are; otherwise like `parse_client_hello`.
    """
    hello = _shapes.find(octets)
    if hello is None:
        hello = _parse_record(octets)
        if hello is not None:
            _shapes.keep(octets, hello)
    return hello


def _parse_record(octets: bytes) -> ClientHello | None:
    """Return what a client says in one record; None if it is not the whole message."""
    record_octets = len(octets) - _RECORD_HEAD
    if not _MESSAGE_HEAD < record_octets <= _RECORD_OCTETS_LIMIT:
        return None
    kind, version, length, message_kind, high, low = _read_heads(octets)
    if (
        kind != _HANDSHAKE
        or version != _MAJOR_VERSION
        or length != record_octets
        or message_kind != _CLIENT_HELLO
        or high << 16 | low != record_octets - _MESSAGE_HEAD
    ):
        return None
    return _parse_message(octets[_RECORD_HEAD:])


class HelloReader:
    """Reads a ClientHello while it arrives; each octet once, also if they come one by one."""

    __slots__ = ("_head", "_message", "_missing_octets", "_octets")

    def __init__(self) -> None:
        self._message = bytearray()
        # The begin of a record's head, and how much of the content of a record is still to come.
        self._head = b""
        self._missing_octets = 0
        self._octets = 0

    def receive(self, octets: bytes) -> ClientHello | None:
        """Take what came next; otherwise like `parse_client_hello`."""
        position = 0
        while position < len(octets):
            if self._missing_octets:
                part = octets[position : position + self._missing_octets]
                position += len(part)
                if self._take_content(part):
                    return _parse_message(bytes(self._message))
            else:
                part = octets[position : position + _RECORD_HEAD - len(self._head)]
                position += len(part)
                self._take_head(part)
        return None

    def _take_head(self, part: bytes) -> None:
        """Take some of the head of a record (RFC 8446 section 5.1)."""
        self._octets += len(part)
        head = self._head + part
        _require(head[:1] == b"\x16" and head[1:2] in {b"", b"\x03"}, Alert.UNEXPECTED_MESSAGE)
        self._head = head
        if len(head) < _RECORD_HEAD:
            return
        (length,) = _read_two(head, 3)
        _require(length <= _RECORD_OCTETS_LIMIT, Alert.RECORD_OVERFLOW)
        # An empty record is no part of a message.
        _require(length > 0, Alert.UNEXPECTED_MESSAGE)
        self._head = b""
        self._missing_octets = length

    def _take_content(self, part: bytes) -> bool:
        """Take some of the content of a record; return whether the message is whole."""
        message = self._message
        before = len(message)
        message += part
        self._missing_octets -= len(part)
        _require(message[0] == _CLIENT_HELLO, Alert.UNEXPECTED_MESSAGE)
        is_whole = False
        if len(message) >= _MESSAGE_HEAD:
            total = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD], "big")
            _require(total <= _LIMIT_OCTETS)
            is_whole = len(message) >= total
            del message[total:]
        self._octets += len(message) - before
        # The heads of records count as well: there can be many small ones.
        _require(self._octets <= _LIMIT_OCTETS)
        return is_whole


def _parse_message(message: bytes) -> ClientHello:
    """Read a whole message (RFC 8446 section 4.1.2)."""
    end = len(message)
    try:
        offset = _SESSION_ID + 1 + message[_SESSION_ID]
        offset += 2 + _read_two(message, offset)[0]  # cipher_suites
        offset += 1 + message[offset]  # legacy_compression_methods
        if offset == end:
            # TLS 1.2 knows a ClientHello without extensions (RFC 5246 section 7.4.1.2).
            return ClientHello(b"", ())
        if offset + 2 + _read_two(message, offset)[0] != end:
            raise MalformedHelloError(Alert.DECODE_ERROR)
        found = _find_extensions(message, offset + 2)
    except (IndexError, StructError):
        raise MalformedHelloError(Alert.DECODE_ERROR) from None
    names, protocols = found.get(_SERVER_NAME), found.get(_ALPN)
    return ClientHello(
        b"" if names is None else _read_server_name(_take_content(message, names)),
        () if protocols is None else _read_protocols(_take_content(message, protocols)),
    )


def _find_extensions(message: bytes, offset: int) -> dict[int, int]:
    """Return where the content of each extension begins, by their types, from an offset to the end."""
    found: dict[int, int] = {}
    end = len(message)
    count = 0
    # A browser sends some fifteen, so a step of this loop makes as few calls as it can.
    while offset < end:
        kind, length = _read_pair(message, offset)
        offset += 4
        found[kind] = offset
        offset += length
        count += 1
    # RFC 8446 section 4.2: no more than one of each type.
    _require(offset == end and len(found) == count)
    return found


def _take_content(message: bytes, offset: int) -> bytes:
    """Return the content of an extension, whose length stands before it."""
    return message[offset : offset + _read_two(message, offset - 2)[0]]


def _read_server_name(extension: bytes) -> bytes:
    """Return the host name; most clients ask for one that was read before."""
    name = _server_names.young.get(extension)
    if name is None:
        octets = len(extension)
        name = _server_names.get(extension, octets)
        if name is None:
            name = _parse_server_name(extension)
            _server_names.put(extension, name, octets)
    return name


def _read_protocols(extension: bytes) -> tuple[bytes, ...]:
    """Return the protocols; most clients send a list that was read before."""
    protocols = _protocols.young.get(extension)
    if protocols is None:
        octets = len(extension)
        protocols = _protocols.get(extension, octets)
        if protocols is None:
            protocols = _parse_protocols(extension)
            _protocols.put(extension, protocols, octets)
    return protocols


def _parse_server_name(extension: bytes) -> bytes:
    """Return the host name of a list of names (RFC 6066 section 3)."""
    names = _take_list(extension)
    found = b""
    while names:
        kind = names[0]
        length = int.from_bytes(names[1:3], "big")
        name = names[3 : 3 + length]
        _require(0 < length == len(name) and not (kind == _HOST_NAME and found))
        if kind == _HOST_NAME:
            found = name
        names = names[3 + length :]
    return found.lower().removesuffix(b".")


def _parse_protocols(extension: bytes) -> tuple[bytes, ...]:
    """Return the names of a list of protocols (RFC 7301 section 3.1)."""
    listed = _take_list(extension)
    names = []
    while listed:
        length = listed[0]
        name = listed[1 : 1 + length]
        _require(0 < length == len(name))
        names.append(name)
        listed = listed[1 + length :]
    return tuple(names)


def _take_list(extension: bytes) -> bytes:
    """Return what an extension has behind the length of its only part, which is not empty."""
    _require(len(extension) > 2 and int.from_bytes(extension[:2], "big") == len(extension) - 2)
    return extension[2:]


def _require(is_right: bool, alert: Alert = Alert.DECODE_ERROR) -> None:
    if not is_right:
        raise MalformedHelloError(alert)
