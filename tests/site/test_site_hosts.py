"""Which site a host has, and which hosts are answered."""

from collections.abc import Callable

import pytest

from epollo.http.message import PERMANENT, Later, Request, Response
from epollo.http.target import parse_target
from epollo.site.hosts import (
    AllowedHosts,
    Hosts,
    HostTable,
    is_loopback,
    parse_pattern,
    split_hosts,
)

TABLE = HostTable(
    {
        "example.org": "exact",
        "*.example.org": "ending",
        "*.b.example.org": "longer ending",
        "www.b.example.org": "exact below",
        "[::1]": "address",
        "192.0.2.1": "address 4",
    }
)


@pytest.mark.parametrize(
    ("host", "value"),
    [
        ("example.org", "exact"),
        ("example.org.", "exact"),
        ("www.example.org", "ending"),
        ("a.b.c.example.org", "ending"),
        ("a.b.example.org", "longer ending"),
        ("b.example.org", "ending"),
        ("www.b.example.org", "exact below"),
        (".example.org", None),
        ("notexample.org", None),
        ("org", None),
        ("", None),
        ("[::1]", "address"),
        ("[0:0:0:0:0:0:0:1]", "address"),
        ("[::0:0001]", "address"),
        ("[::2]", None),
        ("[::x]", None),
        ("192.0.2.1", "address 4"),
        ("1.192.0.2.1", None),
        ("a" * 244 + ".example.org", None),
        ("a" * 243 + ".example.org", "ending"),
    ],
)
def test_the_most_exact_pattern_counts(host: str, value: str | None) -> None:
    assert TABLE.find(host.encode()) == value


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("Example.ORG", b"example.org"),
        ("example.org.", b"example.org"),
        (" *.Example.org ", b"*.example.org"),
        ("::1", b"[::1]"),
        ("[2001:DB8::1]", b"[2001:db8::1]"),
        ("2001:db8:0:0::0:1", b"[2001:db8::1]"),
        ("xn--bcher-kva.example", b"xn--bcher-kva.example"),
    ],
)
def test_patterns(pattern: str, name: bytes) -> None:
    assert parse_pattern(pattern) == name


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".",
        "*",
        "*.",
        "a.*.b",
        "*.*.b",
        "a b",
        "a/b",
        "a:80",
        "[::1]:80",
        "bücher.example",
        "1:2",
        ".example.org",
        "*..example.org",
    ],
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True),
        ("localhost.", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.255.3.4", True),
        ("[::1]", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("[::ffff:192.0.2.1]", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("0.0.0.0", False),
        ("192.168.0.1", False),
        ("[::2]", False),
        ("", False),
        ("\xff", False),
    ],
)
def test_loopback(host: str, is_local: bool) -> None:
    assert is_loopback(host.encode("latin-1")) is is_local


def name(text: str) -> Callable[[Request], Response | Later]:
    return lambda _: Response(200, ((b"Site", text.encode()),))


def ask(
    respond: Callable[[Request], Response | Later], host: str | None, target: str = "/"
) -> tuple[int, str]:
    parsed = parse_target(target.encode())
    assert parsed is not None
    fields = {} if host is None else {b"host": host.encode("latin-1")}
    response = respond(Request(b"GET", parsed, fields))
    assert isinstance(response, Response)
    if response.status == 421:
        assert response.basis is PERMANENT
    return response.status, dict(response.fields).get(b"Site", b"").decode()


@pytest.mark.parametrize(
    ("host", "target", "answer"),
    [
        ("a.example", "/", (200, "a")),
        ("A.Example:8080", "/", (200, "a")),
        ("x.b.example", "/", (200, "b")),
        # RFC 9112 section 3.2.2: the target's own host counts.
        ("x.b.example", "http://a.example/", (200, "a")),
        ("b.example", "/", (421, "")),
        ("", "/", (421, "")),
        (None, "/", (421, "")),
    ],
)
def test_a_host_has_a_site(host: str | None, target: str, answer: tuple[int, str]) -> None:
    sites = {"a.example": name("a"), "*.b.example": name("b")}
    assert ask(Hosts(sites, None).respond, host, target) == answer
    expected = answer if answer[0] == 200 else (200, "default")
    assert ask(Hosts(sites, name("default")).respond, host, target) == expected


@pytest.mark.parametrize(
    ("allowed", "hosts", "others"),
    [
        ("local", ["localhost:7890", "127.0.0.1", "[::1]:80"], ["evil.example", "10.0.0.1", ""]),
        ("a.example,*.b.example", ["a.example:1", "x.b.example"], ["b.example", "localhost"]),
        ("local,a.example", ["localhost", "a.example"], ["x.a.example", "a" * 300]),
    ],
)
def test_only_allowed_hosts_are_answered(allowed: str, hosts: list[str], others: list[str]) -> None:
    respond = AllowedHosts(split_hosts(allowed), name("site")).respond
    for _ in range(2):
        assert {ask(respond, host) for host in hosts} == {(200, "site")}
        assert {ask(respond, host) for host in others} == {(421, "")}


def test_a_list_of_hosts() -> None:
    assert split_hosts(" local, a.example ,,*.b.example") == ("local", "a.example", "*.b.example")
    with pytest.raises(ValueError, match="'a b' is no host"):
        split_hosts("local,a b")


def test_a_name_with_all_names_below_it_is_not_meant_by_a_dot() -> None:
    """As nginx has it; here it would be a host that no client asks for."""
    with pytest.raises(ValueError, match=r"^'\.A\.example' is no host; is \*\.a\.example meant\?$"):
        parse_pattern(".A.example")
