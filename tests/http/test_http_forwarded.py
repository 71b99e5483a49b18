"""Addresses of clients as proxies tell them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.forwarded import find_client, parse_forwarded, parse_forwarded_for

PROXY, OTHER = "10.0.0.1", "10.0.0.2"


def is_trusted(address: str) -> bool:
    return address.startswith("10.")


def find(*values: bytes, address: str = PROXY) -> str:
    return find_client(list(values), address, is_trusted)


def test_a_peer_that_is_no_proxy_is_the_client() -> None:
    assert find(b"192.0.2.1", address="192.0.2.9") == "192.0.2.9"


def test_each_proxy_that_is_trusted_leads_one_address_further() -> None:
    assert find() == PROXY
    assert find(b"192.0.2.1") == "192.0.2.1"
    assert find(b"192.0.2.1", b"10.0.0.2") == "192.0.2.1"
    assert find(b"10.0.0.3", b"10.0.0.2") == "10.0.0.3"
    # What a client wrote itself stands before what a proxy added.
    assert find(b"198.51.100.7", b"192.0.2.1") == "192.0.2.1"
    assert find(b"198.51.100.7", b"192.0.2.1", b"10.0.0.2") == "192.0.2.1"


def test_what_is_no_address_ends_the_way() -> None:
    for value in (b"unknown", b"_hidden", b"", b"example.com", b"300.1.1.1", b"1.2.3", b"\xff"):
        assert find(b"192.0.2.1", value) == PROXY, value
        assert find(b"192.0.2.1", value, b"10.0.0.2") == OTHER, value


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"192.0.2.1:4711", "192.0.2.1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:DB8::1]", "2001:db8::1"),
        (b"[2001:db8::1]:4711", "2001:db8::1"),
        (b"::ffff:192.0.2.1", "192.0.2.1"),
        (b"[2001:db8::1]:_port", "2001:db8::1"),
    ],
)
def test_forms_of_an_address(value: bytes, address: str) -> None:
    assert find(value) == address


def test_a_value_of_x_forwarded_for() -> None:
    assert parse_forwarded_for(b"192.0.2.1,  10.0.0.2\t,") == [b"192.0.2.1", b"10.0.0.2", b""]


@pytest.mark.parametrize(
    ("value", "nodes"),
    [
        (b"for=192.0.2.43", [b"192.0.2.43"]),
        (b'For="[2001:db8:cafe::17]:4711"', [b"[2001:db8:cafe::17]:4711"]),
        (b"for=192.0.2.60;proto=http;by=203.0.113.43", [b"192.0.2.60"]),
        (b"by=203.0.113.43; FOR = x;for=192.0.2.60", [b"192.0.2.60"]),
        (b"for=192.0.2.43, for=198.51.100.17", [b"192.0.2.43", b"198.51.100.17"]),
        (b'for="_gazonk", proto=http', [b"_gazonk", b""]),
        (b'host="a;for=1.1.1.1";for=192.0.2.1', [b"192.0.2.1"]),
        (b'host="a, for=1.1.1.1", for=192.0.2.1', [b"", b"192.0.2.1"]),
        (b'for="a\\"b"', [b'a"b']),
        (b"for", [b""]),
    ],
)
def test_a_value_of_forwarded(value: bytes, nodes: list[bytes]) -> None:
    assert parse_forwarded(value) == nodes


@given(st.binary(max_size=60), st.sampled_from([parse_forwarded, parse_forwarded_for]))
def test_any_octets_lead_to_an_address(value: bytes, parse: object) -> None:
    assert callable(parse)
    address = find_client(parse(value), PROXY, is_trusted)
    assert str(ipaddress.ip_address(address)) == address


def test_a_long_list_is_looked_at_from_its_end_to_a_bound() -> None:
    assert find(*[b"192.0.2.1"], *[b"10.0.0.2"] * 31) == "192.0.2.1"
    assert find(*[b"192.0.2.1"], *[b"10.0.0.2"] * 32) == OTHER
