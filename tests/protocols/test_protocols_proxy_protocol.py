import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.protocols.proxy_protocol import (
    LONGEST_OCTETS,
    NoProxyHeader,
    ProxyHeader,
    parse_proxy_header,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TCP4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.8") + struct.pack("!HH", 5, 80)
TCP6 = bytes.fromhex("20010db8") + bytes(11) + b"\1" + bytes(16) + struct.pack("!HH", 5, 80)
TLVS = b"\x01\x00\x02h2" + b"\x04\x00\x03\0\0\0"


def binary(command: int, kind: int, addresses: bytes) -> bytes:
    """Return a header of version 2."""
    return SIGNATURE + bytes((command, kind)) + struct.pack("!H", len(addresses)) + addresses


VALID = [
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\n", "192.0.2.7"),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0"),
    (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"),
    (b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2\r\n", "2001:db8::1"),
    (b"PROXY TCP6 " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n",
     ":".join(["ffff"] * 8)),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN whatever a proxy likes to say\r\n", None),
    (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None),
    (binary(0x21, 0x11, TCP4), "192.0.2.7"),
    (binary(0x21, 0x21, TCP6), "2001:db8::1"),
    (binary(0x21, 0x21, bytes(10) + b"\xff\xff\xc0\x00\x02\x07" + bytes(20)), "192.0.2.7"),
    (binary(0x21, 0x11, TCP4 + TLVS), "192.0.2.7"),
    (binary(0x21, 0x21, TCP6 + TLVS), "2001:db8::1"),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, TCP4), None),
    (binary(0x20, 0x11, b""), None),
    (binary(0x20, 0x41, b""), None),
    (binary(0x20, 0x13, b"??"), None),
    (binary(0x21, 0x00, TLVS), None),
    (binary(0x21, 0x12, TCP4), None),
    (binary(0x21, 0x31, bytes(216)), None),
    (binary(0x21, 0x11, TCP4 + bytes(LONGEST_OCTETS - 16 - 12)), "192.0.2.7"),
]  # fmt: skip

INVALID = [
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
    b"PROXY  TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\rx",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 \r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 -1 2\r\n",
    b"PROXY TCP4 192.0.2.07 192.0.2.8 1 2\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.8 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
    b"PROXY TCP6 2001:db8::1::2 ::1 1 2\r\n",
    b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY UNKNOWN " + b"x" * 200,
    b"PROXY \r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\n",
    SIGNATURE[:-1] + b"\r",
    binary(0x11, 0x11, TCP4),
    binary(0x22, 0x11, TCP4),
    binary(0x21, 0x13, TCP4),
    binary(0x21, 0x41, TCP4),
    binary(0x21, 0x11, TCP4[:-1]),
    binary(0x21, 0x21, TCP4),
    binary(0x21, 0x31, bytes(215)),
    binary(0x21, 0x11, TCP4 + bytes(LONGEST_OCTETS - 16 - 11)),
    binary(0x20, 0x00, bytes(LONGEST_OCTETS)),
]


@pytest.mark.parametrize(("octets", "source"), VALID)
@pytest.mark.parametrize("following", [b"", b"GET / HTTP/1.1\r\n", b"\r\n", b"PROXY "])
def test_valid_headers(octets: bytes, source: str | None, following: bytes) -> None:
    assert parse_proxy_header(octets + following) == ProxyHeader(source, len(octets))


@pytest.mark.parametrize("octets", [octets for octets, _ in VALID])
def test_a_part_of_a_valid_header_asks_for_more(octets: bytes) -> None:
    for length in range(len(octets)):
        assert parse_proxy_header(octets[:length]) is None


@pytest.mark.parametrize("octets", INVALID)
def test_invalid_headers(octets: bytes) -> None:
    assert parse_proxy_header(octets) == NoProxyHeader()
    verdicts = [parse_proxy_header(octets[:length]) for length in range(len(octets) + 1)]
    refused = verdicts.index(NoProxyHeader())
    assert set(verdicts[:refused]) == {None}
    assert set(verdicts[refused:]) == {NoProxyHeader()}


@pytest.mark.parametrize("begin", [b"PROXY ", b"PROXY UNKNOWN ", SIGNATURE + b"\x21\x11"])
def test_what_has_to_be_kept_is_bounded(begin: bytes) -> None:
    endless = begin + b"\x07" * 100_000
    lengths = [length for length in range(5000) if parse_proxy_header(endless[:length]) is None]
    assert max(lengths) < LONGEST_OCTETS


@given(
    begin=st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, *INVALID]),
    octets=st.binary(max_size=200),
)
def test_any_octets_have_one_verdict(begin: bytes, octets: bytes) -> None:
    whole = begin + octets
    verdicts = [parse_proxy_header(whole[:length]) for length in range(len(whole) + 1)]
    last = verdicts[-1]
    while verdicts and verdicts[-1] == last:
        verdicts.pop()
    assert set(verdicts) <= {None}
