"""What a client says first over TLS: read by epollo as by OpenSSL, however it is cut."""

import contextlib
import ssl
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import make_certificate
from epollo.http.status import format_plain_page
from epollo.linux.openssl import _SET_GROUPS_LIST, GROUPS, _control
from epollo.protocols.tls import (
    Alert,
    ClientHello,
    HelloReader,
    MalformedHelloError,
    asks_for_key,
    client_hello,
    find_link,
    format_alert,
    parse_client_hello,
    parse_whole,
)
from epollo.protocols.tls.client_hello import _server_names
from epollo.protocols.tls.hello_shapes import HelloShapes


def make_hello(name: str | None, *protocols: str, version: ssl.TLSVersion | None = None) -> bytes:
    """Return what OpenSSL's client sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def split_into_records(hello: bytes, size: int) -> bytes:
    """Return the same message in records of at most this size (RFC 8446 section 5.1)."""
    message = hello[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


HELLO = make_hello("Example.ORG", "h2", "http/1.1")


@pytest.mark.parametrize(
    ("hello", "expected"),
    [
        (HELLO, ClientHello(b"example.org", (b"h2", b"http/1.1"))),
        (make_hello(None), ClientHello(b"", ())),
        (make_hello("a.test", version=ssl.TLSVersion.TLSv1_2), ClientHello(b"a.test", ())),
        (split_into_records(HELLO, 7), ClientHello(b"example.org", (b"h2", b"http/1.1"))),
        (split_into_records(HELLO, 100), ClientHello(b"example.org", (b"h2", b"http/1.1"))),
    ],
)
def test_what_openssl_says_is_read(hello: bytes, expected: ClientHello) -> None:
    assert parse_client_hello(hello) == expected
    # What follows is not its business: early data, a second message.
    assert parse_client_hello(hello + b"\0" * 20) == expected
    for end in range(len(hello)):
        assert parse_client_hello(hello[:end]) is None, end


def make_message(extensions: bytes) -> bytes:
    body = b"\x03\x03" + b"r" * 32 + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def make_extensions(*extensions: tuple[int, bytes]) -> bytes:
    octets = b"".join(
        kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content
        for kind, content in extensions
    )
    return len(octets).to_bytes(2, "big") + octets


NAME = (0, b"\0\x09\0\0\x06a.test")


def test_a_hello_in_records_of_one_octet_is_read() -> None:
    expected = ClientHello(b"example.org", (b"h2", b"http/1.1"))
    assert parse_client_hello(split_into_records(HELLO, 1)) == expected
    short = split_into_records(make_message(make_extensions(NAME)), 1)
    assert parse_client_hello(short) == ClientHello(b"a.test", ())
    for end in range(len(short)):
        assert parse_client_hello(short[:end]) is None, end


def test_a_hello_without_extensions_is_one() -> None:
    assert parse_client_hello(make_message(b"")) == ClientHello(b"", ())
    assert parse_client_hello(make_message(b"\0\0")) == ClientHello(b"", ())
    assert parse_client_hello(make_message(make_extensions(NAME))) == ClientHello(b"a.test", ())


def test_a_final_dot_is_no_part_of_a_name() -> None:
    dotted = (0, b"\0\x0a\0\0\x07A.test.")
    hello = parse_client_hello(make_message(make_extensions(dotted)))
    assert hello == ClientHello(b"a.test", ())


@pytest.mark.parametrize(
    "octets",
    [
        b"G",
        b"\x15\x03\x03\0\x02\x02\x28",
        b"\x16\x02",
        b"\x16\x03\x01\0\0",
        b"\x16\x03\x01\x40\x01",
        b"\x16\x03\x01\0\x04\x02\0\0\0",
        b"\x16\x03\x01\0\x04\x01\x01\0\0",
        make_message(b"\0"),
        make_message(b"\0\x01\0"),
        make_message(make_extensions(NAME) + b"\0"),
        make_message(make_extensions(NAME, NAME)),
        make_message(make_extensions((0, b""))),
        make_message(make_extensions((0, b"\0\0"))),
        make_message(make_extensions((0, b"\0\x09\0\0\x07a.test"))),
        make_message(make_extensions((0, b"\0\x03\0\0\0"))),
        make_message(make_extensions((0, b"\0\x0c" + b"\0\0\x01a" * 3))),
        make_message(make_extensions((0, NAME[1] + b"x"))),
        make_message(make_extensions((16, b"\0\x01\0"))),
        make_message(make_extensions((16, b"\0\x03\x05ab"))),
        make_message(b"\0\x05\0\0\0\x09a"),
    ],
)
def test_what_is_no_hello_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedHelloError):
        parse_client_hello(octets)


@pytest.mark.parametrize(
    ("octets", "alert"),
    [
        (b"\x16\x03\x01\x40\x01", Alert.RECORD_OVERFLOW),
        (b"\x16\x03\x01\0\0", Alert.UNEXPECTED_MESSAGE),
        (b"\x17", Alert.UNEXPECTED_MESSAGE),
        (b"\x16\x03\x01\0\x04\x02", Alert.UNEXPECTED_MESSAGE),
        (b"\x16\x03\x01\0\x04\x01\x01\0\0", Alert.DECODE_ERROR),
        (make_message(b"\0\x01\0"), Alert.DECODE_ERROR),
    ],
)
def test_a_refusal_says_why(octets: bytes, alert: Alert) -> None:
    """RFC 8446 sections 5 and 5.1."""
    with pytest.raises(MalformedHelloError) as refused:
        parse_client_hello(octets)
    assert refused.value.alert is alert


LARGE = make_message(make_extensions(NAME, (0xFE00, b"x" * 9000)))


@pytest.mark.parametrize(
    ("octets", "is_read"),
    [
        (split_into_records(LARGE, 1), True),
        (split_into_records(make_message(make_extensions((0xFE00, b"x" * 12_000))), 1), False),
        (split_into_records(LARGE + b"x" * 5000, 1), True),
    ],
    ids=["many records", "too many records", "more behind it"],
)
def test_octets_that_come_one_by_one_are_read_once(octets: bytes, is_read: bool) -> None:
    """What is read again with each octet takes minutes here."""
    reader, found, begun = HelloReader(), None, time.thread_time()
    with contextlib.suppress(MalformedHelloError):
        for octet in octets:
            found = reader.receive(bytes((octet,)))
            if found is not None:
                break
    assert time.thread_time() - begun < 5
    assert (found == ClientHello(b"a.test", ())) == is_read
    assert judge(octets) == (found or "malformed")


def judge(octets: bytes) -> ClientHello | str | None:
    try:
        return parse_client_hello(octets)
    except MalformedHelloError:
        return "malformed"


@given(st.data())
def test_a_hello_that_was_tampered_with_is_judged_the_same_at_every_split(
    data: st.DataObject,
) -> None:
    octets = bytearray(data.draw(st.sampled_from([HELLO, split_into_records(HELLO, 64)])))
    for _ in range(data.draw(st.integers(0, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    whole = judge(bytes(octets))
    verdicts = [judge(bytes(octets[:end])) for end in range(len(octets))]
    # It is "not yet" until it is something, and then remains that.
    decided = [verdict for verdict in verdicts if verdict is not None]
    assert all(verdict == whole for verdict in decided)
    assert verdicts == [None] * (len(verdicts) - len(decided)) + decided


@given(st.lists(st.tuples(st.integers(0, len(HELLO) - 1), st.integers(0, 255)), max_size=2))
def test_one_whole_record_is_read_as_its_octets_one_by_one(changes: list[tuple[int, int]]) -> None:
    octets = bytearray(HELLO)
    # What it is compared with.
    assert parse_whole(HELLO) is not None
    for position, value in changes:
        octets[position] = value
    try:
        whole = parse_whole(bytes(octets))
    except MalformedHelloError:
        with pytest.raises(MalformedHelloError):
            read_one_by_one(bytes(octets))
    else:
        assert whole is None or read_one_by_one(bytes(octets)) == whole


def read_one_by_one(octets: bytes) -> ClientHello | None:
    reader = HelloReader()
    found = None
    for position in range(len(octets)):
        found = reader.receive(octets[position : position + 1])
        if found is not None:
            break
    return found


OTHER = (16, b"\0\x03\x02h2")


KEY = bytes(range(100, 135))
EXTENSIONS = [NAME, (16, b"\0\x03\x02h2"), (51, KEY), (0xFE00, b""), (21, b"")]


@given(st.permutations(EXTENSIONS), st.data())
def test_what_has_the_shape_of_another_says_the_same(
    extensions: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Suites, methods and other extensions may differ; what differs in anything else is read."""
    shapes = HelloShapes[str](frozenset((0, 16)))
    hello = make_message(make_extensions(*extensions))
    assert shapes.find(hello) is None
    shapes.keep(hello, "first")
    place = data.draw(st.integers(9, len(hello) - 1))
    other = bytearray(hello)
    other[place] ^= data.draw(st.integers(1, 255))
    key = hello.index(KEY)
    is_passed_over = place in {*range(9, 43), 46, 47, 49, *range(key, key + len(KEY))}
    assert shapes.find(bytes(other)) == ("first" if is_passed_over else None)


def test_shapes_are_bounded_and_the_last_of_a_length_is_known_after_a_while() -> None:
    shapes = HelloShapes[int](frozenset((0, 16)))
    for length in range(3000):
        shapes.keep(make_message(make_extensions((0xFE00, bytes(length)))), length)
    assert 10 < len(shapes) <= 2 * 64
    many = [(0xFE00 + number, b"") for number in range(200)]
    for extensions in (make_extensions(*many), make_extensions((0xFE00, bytes(10_000))), b""):
        shapes.keep(make_message(extensions), -1)
        assert shapes.find(make_message(extensions)) is None
    hellos = [
        make_message(make_extensions((0, b"\0\x04\0\0\x01" + letter)))
        for letter in (b"a", b"b", b"c", b"d", b"e")
    ]
    for number, hello in enumerate(hellos[:4]):
        shapes.keep(hello, number)
    assert [shapes.find(hello) for hello in hellos] == [0, 1, 2, 3, None]
    kept = 0
    while shapes.find(hellos[4]) is None:
        shapes.keep(hellos[4], 4)
        kept += 1
    assert 1 < kept <= 16
    assert [shapes.find(hello) for hello in hellos] == [None, 1, 2, 3, 4]


def test_the_reader_reads_a_shape_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        first = parse_whole(make_hello("once.test", "http/1.1"))
    monkeypatch.setattr(client_hello, "_parse_record", None)
    assert parse_whole(make_hello("once.test", "http/1.1")) is first


def test_lists_that_are_remembered_are_bounded() -> None:
    for number in range(2000):
        name = b"%d.test" % number + b"x" * (number % 300)
        content = b"\0" + len(name).to_bytes(2, "big") + name
        content = len(content).to_bytes(2, "big") + content
        hello = make_message(make_extensions((0, content)))
        assert parse_client_hello(hello) == ClientHello(name, ())
    assert len(_server_names) <= 256
    assert sum(map(len, _server_names.young)) <= 16 * 1024


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_else(octets: bytes) -> None:
    judge(octets)
    judge(make_message(octets))
    judge(make_message(make_extensions((0, octets), (16, octets))))


MADE = make_certificate("a.test")


@pytest.mark.parametrize(
    ("groups", "version", "expected"),
    [
        (b"X25519", ssl.TLSVersion.TLSv1_3, [False, False]),
        (b"P-521:X25519", ssl.TLSVersion.TLSv1_3, [True, True]),
        (b"P-256", ssl.TLSVersion.TLSv1_2, [True, False]),
    ],
)
def test_a_flight_shows_if_a_key_is_still_to_come(
    tmp_path: Path, groups: bytes, version: ssl.TLSVersion, expected: list[bool]
) -> None:
    """In a new session, and in one that is resumed."""
    client, server = MADE.trust(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.maximum_version = version
    options = MADE.write(tmp_path)
    server.load_cert_chain(options[1], options[3])
    for context, names in ((client, groups), (server, GROUPS[-1])):
        if _control(context, _SET_GROUPS_LIST, 0, names) != 1:
            pytest.skip("this library cannot be told which groups to offer")
    told: list[bool] = []
    session: ssl.SSLSession | None = None
    for _ in range(2):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(to_client, to_server, server_hostname="a.test", session=session)
        far = server.wrap_bio(to_server, to_client, server_side=True)
        for turn in range(4):
            for end in (near, far):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
            flight = to_client.read()
            if not turn:
                told.append(asks_for_key(flight))
            to_client.write(flight)
        with contextlib.suppress(ssl.SSLWantReadError):
            # The ticket.
            near.read(1)
        session = near.session
    assert near.session_reused
    assert told == expected


def test_an_alert_is_one_that_openssl_understands() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(format_alert(Alert.UNRECOGNIZED_NAME))
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        client.do_handshake()


@pytest.mark.parametrize(
    ("octets", "link"),
    [
        (b"GET /a/b?c HTTP/1.1\r\nHost: a.test:8443\r\n\r\n", b"https://a.test:8443/a/b?c"),
        (b"GET /a?b=c&d=%20'e HTTP/1.1\r\nHost: a\r\n\r\n", b"https://a/a?b=c&d=%20%27e"),
        (b"GET http://b.test/a HTTP/1.1\r\nHost: a.test\r\n\r\n", b"https://a.test/"),
        (b'GET /"\xc3\xa9# HTTP/1.1\r\nHost: a.test\r\n\r\n', b"https://a.test/%22%C3%A9%23"),
        (b"GET /a/b HTTP/1.1\r\nhost:a.test\r\n\r\n", b"https://a.test/a/b"),
        (b"GET /<script> HTTP/1.1\r\nHost: a.test\r\n\r\n", b"https://a.test/%3Cscript%3E"),
        (b'GET / HTTP/1.1\r\nHost: a"><b\r\n\r\n', b""),
        (b"GET / HTTP/1.1\r\nHost: a&lt;b\r\n\r\n", b""),
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", b"https://a.test/"),
        (b"\x15\x03\x03\0\x02\x02\x28", None),
        (b"get / HTTP/1.1\r\n\r\n", None),
        (b"", None),
    ],
)
def test_plain_http_is_led_to_https(octets: bytes, link: bytes | None) -> None:
    assert find_link(octets) == link


def test_a_query_is_text_in_the_page() -> None:
    assert format_plain_page(400, b"https://a/?b=c&lt;d").count(b"https://a/?b=c&amp;lt;d") == 2
