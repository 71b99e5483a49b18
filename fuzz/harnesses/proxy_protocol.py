"""Whatever stands where a PROXY header should, the verdict once reached stays, and it is bounded."""

import ipaddress

from epollo.protocols.proxy_protocol import LONGEST_OCTETS, ProxyHeader, parse_proxy_header

TOKENS = (
    b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"192.0.2.1 ", b"2001:db8::1 ", b"1 65535", b"\r\n",
    b"\r\n\r\n\0\r\nQUIT\n", b"\x20", b"\x21", b"\x11", b"\x21", b"\x31", b"\x00\x0c", b"\x00\x24",
    b"GET / HTTP/1.1\r\n",
)  # fmt: skip
_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def check(octets: bytes) -> None:
    """Read the octets as they may arrive, one by one, and with a request behind them."""
    whole = parse_proxy_header(octets)
    for end in range(len(octets)):
        verdict = parse_proxy_header(octets[:end])
        if verdict is not None:
            assert verdict == whole, "octets that follow changed the verdict"
            break
    if whole is None:
        assert len(octets) < LONGEST_OCTETS, "still not enough to judge"
        return
    assert parse_proxy_header(octets + _REQUEST) == whole
    if not isinstance(whole, ProxyHeader):
        return
    assert 0 < whole.octets <= min(len(octets), LONGEST_OCTETS)
    assert parse_proxy_header(octets[: whole.octets]) == whole
    assert parse_proxy_header(octets[: whole.octets - 1]) is None
    if whole.source is not None:
        # What is logged and limited is an address, in its one form, and nothing else.
        assert str(ipaddress.ip_address(whole.source)) == whole.source
        assert "%" not in whole.source
