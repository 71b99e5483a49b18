"""Host and Content-Length by the letter: where request smuggling lives."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.fields import is_host, is_token, parse_content_length


@pytest.mark.parametrize(
    ("octets", "is_valid"),
    [(b"host", True), (b"X_1", True), (b"", False), (b"ho st", False), (b"host:", False)],
)
def test_tokens_are_told(octets: bytes, is_valid: bool) -> None:
    assert is_token(octets) is is_valid


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"example.com",
        b"EXAMPLE.com.",
        b"example.com:80",
        b"example.com:",
        b"example.com:0",
        b"example.com:65535",
        b"example.com:0000065535",
        b"localhost",
        b"a_b",
        b"127.0.0.1",
        b"127.0.0.1:7890",
        b"999.999.999.999",
        b"xn--bcher-kva.example",
        b"b%C3%BCcher.example",
        b"!$&'()*+,;=",
        b"[::1]",
        b"[::1]:80",
        b"[::]",
        b"[2001:DB8::a]:8080",
        b"[1:2:3:4:5:6:7:8]",
        b"[1:2:3:4:5:6:7::]",
        b"[::2:3:4:5:6:7:8]",
        b"[::ffff:192.0.2.1]",
        b"[1:2:3:4:5:6:192.0.2.1]",
        b"[v1.a:b]",
        b"[vF0.~]",
    ],
)
def test_hosts(value: bytes) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value",
    [
        b":80",
        b":",
        b"example.com:65536",
        b"example.com:100000",
        b"example.com:-1",
        b"example.com:8a",
        b"example.com:80:80",
        b"example.com: 80",
        b"example.com:" + b"9" * 10_000,
        b"exa mple.com",
        b" example.com",
        b"example.com ",
        b"example.com\t",
        b"example.com\n",
        b"example.com\0",
        b"a, b",
        b"user@example.com",
        b"example.com/",
        b"example.com/path",
        b"example.com\\evil",
        b"example.com?",
        b"example.com#",
        b"http://example.com",
        b"b\xc3\xbccher.example",
        b"a%",
        b"a%2",
        b"a%zz",
        b'"a"',
        b"<a>",
        b"a|b",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[1]",
        b"[:::]",
        b"[1::2::3]",
        b"[1:2:3:4:5:6:7]",
        b"[1:2:3:4:5:6:7:8:9]",
        b"[1:2:3:4:5:6:7:8::]",
        b"[12345::]",
        b"[g::]",
        b"[::256.0.0.1]",
        b"[::1.2.3]",
        b"[::01.2.3.4]",
        b"[127.0.0.1]",
        b"[fe80::1%eth0]",
        b"[fe80::1%25eth0]",
        b"[::1]a",
        b"[::1]80",
        b"[v.a]",
        b"[v1.]",
        b"[v1]",
        b"[vg.a]",
    ],
)
def test_no_hosts(value: bytes) -> None:
    assert not is_host(value)


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_a_host(address: ipaddress.IPv6Address) -> None:
    assert is_host(b"[%b]" % address.compressed.encode())
    assert is_host(b"[%b]:443" % address.exploded.encode())


@given(st.text(alphabet="0123456789abcdef::::.", max_size=24))
def test_what_is_a_bracketed_address_agrees_with_the_standard_library(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        is_address = False
    else:
        is_address = True
    assert is_host(b"[%b]" % text.encode()) is is_address


@given(st.binary(max_size=40))
def test_any_octets_are_a_host_or_not(value: bytes) -> None:
    assert is_host(value) in {True, False}
    assert not is_host(value + b"\r")
    assert not is_host(value + b" x")


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0),
        (b"5", 5),
        (b"00", 0),
        (b"0123", 123),
        (b"999999999999999999", 999_999_999_999_999_999),
        (b"1000000000000000000", None),
        (b"9" * 100_000, None),
        (b"", None),
        (b"+5", None),
        (b"-5", None),
        (b"-0", None),
        (b" 5", None),
        (b"5 ", None),
        (b"5\n", None),
        (b"5, 5", None),
        (b"5,5", None),
        (b"5,", None),
        (b"5 5", None),
        (b"0x5", None),
        (b"5.0", None),
        (b"5e1", None),
        (b"1_000", None),
        (b"\xb2", None),
        (b"\xd9\xa5", None),
    ],
)
def test_content_lengths(value: bytes, length: int | None) -> None:
    assert parse_content_length(value) == length


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_every_length_is_read(length: int) -> None:
    assert parse_content_length(b"%d" % length) == length
