"""Whatever stands where a ClientHello should, it is read the same at each cut, and by OpenSSL."""

import contextlib
import ssl

from epollo.protocols.tls import ClientHello, MalformedHelloError, parse_client_hello

TOKENS = (
    b"\x16\x03\x01", b"\x01\x00\x00", b"\x03\x03", b"\x00\x00", b"\x00\x10",
    b"\x00\x2b\x00\x03\x02\x03\x04",
    b"\x02h2", b"\x08http/1.1", b"\x0aacme-tls/1", b"\x00\x06a.test", b"\x13\x01",
    b"\x00\x33", b"\xff\xff",
    b"\x15\x03\x03\x00\x02\x02\x32", b"\x14\x03\x03\x00\x01\x01", b"\x7f\x00", b"\x20",
)  # fmt: skip
LIMIT_OCTETS = 64 * 1024
_CUTS = 200
_RECORD_HEAD = 5

Verdict = ClientHello | str | None


def check(octets: bytes) -> None:
    """Read the octets cut anywhere, in other records, and as OpenSSL reads them."""
    whole = judge(octets)
    step = max(1, len(octets) // _CUTS)
    for end in (*range(0, len(octets), step), *range(max(0, len(octets) - 8), len(octets))):
        verdict = judge(octets[:end])
        assert verdict is None or verdict == whole, "octets that follow changed the verdict"
    if whole is None:
        assert len(octets) < 2 * LIMIT_OCTETS, "still not enough to judge"
    if not isinstance(whole, ClientHello):
        return
    message = join_records(octets)
    for size in (1, 7, 16 * 1024):
        assert judge(split(message, size)) == whole, "records make a difference"
    assert all(0 < len(name) < 256 for name in whole.protocols)
    assert whole.server_name == whole.server_name.lower()
    name = ask_openssl(octets)
    if name is not None:
        theirs = name.lower().removesuffix(".").encode()
        assert theirs == whole.server_name, "OpenSSL reads another name"


def judge(octets: bytes) -> Verdict:
    """Return what our reader says."""
    try:
        return parse_client_hello(octets)
    except MalformedHelloError:
        return "malformed"


def join_records(octets: bytes) -> bytes:
    """Return the message in the records of a ClientHello."""
    message = b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        end = _RECORD_HEAD + int.from_bytes(octets[3:5], "big")
        message += octets[_RECORD_HEAD:end]
        octets = octets[end:]
    return message[: 4 + int.from_bytes(message[1:4], "big")]


def split(message: bytes, size: int) -> bytes:
    """Return a message in records of at most this size."""
    parts = (message[at : at + size] for at in range(0, len(message), size))
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


def ask_openssl(octets: bytes) -> str | None:
    """Return the name that OpenSSL sees, empty for none; None where it does not come that far."""
    seen: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _object, name, _context: seen.append(name)
    incoming = ssl.MemoryBIO()
    incoming.write(octets)
    incoming.write_eof()
    server = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with contextlib.suppress(ssl.SSLError):
        server.do_handshake()
    return (seen[0] or "") if seen else None
