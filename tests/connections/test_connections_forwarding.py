"""Clients behind proxies, as the log and what waits for a guess are told of them."""

from collections.abc import Iterator

import pytest

from connections.in_process import InProcess, Log
from epollo.connections.addresses import Addresses
from epollo.connections.forwarding import Forwarding
from epollo.connections.networks import parse_networks
from epollo.http.message import PERMANENT, Later, Request, Response

NETWORKS = parse_networks("10.0.0.0/8,::1")


class Site:
    def __init__(self) -> None:
        self.addresses: list[str] = []

    def __call__(self, request: Request) -> Response | Later:
        response = Response(200, ((b"Content-Length", b"0"),), basis=PERMANENT)
        if request.target.path != b"/later":
            return response
        return Later(self.begin, lambda: response)

    def begin(self, later: Later, address: str) -> None:
        self.addresses.append(address)
        later.finish()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def harness(log: Log, site: Site) -> Iterator[InProcess]:
    forwarding = Forwarding("x-forwarded-for", NETWORKS)
    with InProcess(site, log=log) as harness:
        harness.service.clients = forwarding
        yield harness
        assert not harness.reports


def ask(harness: InProcess, address: str, *lines: str, target: str = "/", last: str = "") -> None:
    fields = "".join(f"{line}\r\n" for line in ("Host: a", *lines, last) if line)
    peer = harness.connect(f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode(), address=address)
    harness.settle(peer)


def test_what_was_received_with_the_peer_is_noted_for_the_client_too(
    harness: InProcess, log: Log
) -> None:
    """A known answer may be given by the last stage itself, which makes no connection."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    for _ in range(4):
        harness.settle(harness.connect(address="10.0.0.1", received=head))
    assert log.peers == ["192.0.2.7"] * 4


def test_the_log_has_the_address_of_the_client(harness: InProcess, log: Log) -> None:
    for _ in range(2):
        # The second time the answer is recalled.
        ask(harness, "10.0.0.1", "X-Forwarded-For: 192.0.2.1")
        ask(harness, "10.0.0.1", "X-Forwarded-For: 192.0.2.2", last="Connection: close")
        ask(harness, "10.0.0.1", "x-forwarded-for: 1.1.1.1", "X-FORWARDED-FOR: 192.0.2.3, 10.0.0.2")
        ask(harness, "192.0.2.9", "X-Forwarded-For: 192.0.2.1")
        ask(harness, "10.0.0.1", "Forwarded: for=192.0.2.1")
        ask(harness, "", "X-Forwarded-For: 192.0.2.4")
        ask(harness, "")
    once = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.9", "10.0.0.1", "192.0.2.4", None]
    assert log.peers == once * 2


def test_what_is_waited_for_is_told_the_address_of_the_client(
    harness: InProcess, site: Site
) -> None:
    harness.service.keeps_addresses = True
    ask(harness, "10.0.0.1", "X-Forwarded-For: 192.0.2.1", "A: 1", target="/later")
    assert site.addresses == ["192.0.2.1"]


def test_the_other_field_is_read_where_it_is_named() -> None:
    forwarding = Forwarding("forwarded", NETWORKS)
    head = b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=192.0.2.1\r\n\r\n"
    assert forwarding.find_client("::1", head) == "192.0.2.1"
    assert forwarding.find_client("2001:db8::1", head) == "2001:db8::1"
    assert forwarding.find_client("no address", head) == "no address"


def test_connections_of_proxies_are_not_counted() -> None:
    addresses = Addresses(1, Forwarding("forwarded", NETWORKS).is_trusted)
    for _ in range(3):
        assert addresses.enter("10.0.0.1")
    assert addresses.enter("192.0.2.1")
    assert not addresses.enter("192.0.2.1")
    for address in ("10.0.0.1", "192.0.2.1"):
        addresses.leave(address)
    assert addresses.enter("192.0.2.1")
