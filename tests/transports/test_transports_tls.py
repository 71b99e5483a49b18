"""A transport over TLS, held against OpenSSL's own client over a socket pair."""

import contextlib
import gc
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import make_certificate
from epollo.linux.openssl import _find_control
from epollo.transports import LAST
from epollo.transports.certificates import load_library, make_context
from epollo.transports.openssl_session import OpensslSession
from epollo.transports.pairs import Pair
from epollo.transports.session import PIECE_OCTETS, Buffers, Session
from epollo.transports.tls import TlsTransport
from tls_libraries import each_library

MADE = make_certificate("a.test")
PAIR = Pair(MADE.certificate, MADE.key, "a.pem")
CONTEXT = make_context(PAIR)


class Client:
    """A client of OpenSSL whose octets are moved by hand."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = version
        context.load_verify_locations(cadata=MADE.certificate.decode())
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname="a.test")

    def shake_hands(self, server: Session) -> None:
        """Shake hands in memory."""
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.object.do_handshake()
            if not server.is_complete:
                self.incoming.write(server.shake_hands(self.outgoing.read()))
        assert server.is_complete

    def read(self) -> bytes:
        """Return all that is there."""
        parts = []
        try:
            while part := self.object.read(65536):
                parts.append(part)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return b"".join(parts)


class NarrowSocket:
    """A socket that takes a few octets at each call, and none at every other."""

    def __init__(self, widths: list[int]) -> None:
        self._widths = widths
        self.calls = 0
        self.sent = bytearray()
        self.to_receive: list[bytes] = []
        self.is_closed = False
        self.is_shut = False

    def recv(self, limit: int, flags: int = 0, /) -> bytes:
        if not self.to_receive:
            raise BlockingIOError
        first = self.to_receive[0]
        if not flags & socket.MSG_PEEK:
            self.to_receive[0] = first[limit:]
            if not self.to_receive[0]:
                del self.to_receive[0]
        return first[:limit]

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:  # noqa: ARG002
        width = self._widths[self.calls % len(self._widths)]
        self.calls += 1
        if not width:
            raise BlockingIOError
        self.sent += data[:width]
        return min(width, len(data))

    def sendmsg(
        self,
        buffers: list[bytes],
        ancillary: tuple[()] = (),  # noqa: ARG002
        flags: int = 0,
        /,
    ) -> int:
        return self.send(b"".join(buffers), flags)

    def shutdown(self, how: int, /) -> None:  # noqa: ARG002
        self.is_shut = True

    def close(self) -> None:
        self.is_closed = True


def begin(library: str) -> Session:
    return load_library(library)(CONTEXT, [PAIR])(None)


def connect(
    widths: list[int], buffers: Buffers | None = None, library: str = "openssl"
) -> tuple[Client, NarrowSocket, TlsTransport]:
    client, session = Client(), begin(library)
    client.shake_hands(session)
    narrow = NarrowSocket(widths)
    return client, narrow, TlsTransport(narrow, session, b"", buffers)  # type: ignore[arg-type]


def send_all(transport: TlsTransport, octets: bytes) -> None:
    """Send as a connection does: what is not taken is offered again."""
    view = memoryview(octets)
    for _ in range(100_000):
        if not view:
            return
        try:
            view = view[transport.send(view) :]
        except BlockingIOError:
            continue
    raise AssertionError("the transport takes nothing")


WIDTHS = st.lists(st.sampled_from([0, 1, 7, 1000, 20_000, 10**9]), min_size=1, max_size=8).filter(
    lambda widths: max(widths) >= 1000
)


@each_library
@given(st.lists(st.integers(0, 3 * PIECE_OCTETS), min_size=1, max_size=4), WIDTHS)
def test_what_is_sent_arrives_however_little_the_socket_takes(
    library: str, lengths: list[int], widths: list[int]
) -> None:
    client, narrow, transport = connect(widths, library=library)
    contents = [bytes([65 + number]) * length for number, length in enumerate(lengths)]
    for content in contents:
        send_all(transport, content)
    client.incoming.write(narrow.sent)
    assert client.read() == b"".join(contents)


def offer_early_data() -> bytes:
    """Return a ClientHello that offers to resume a session that no server knows, with early data."""
    client = Client()
    with contextlib.suppress(ssl.SSLWantReadError):
        client.object.do_handshake()
    hello = client.outgoing.read()
    identities = b"\0\x0c\0\x06ticket\0\0\0\0"
    ticket = identities + b"\0\x21\x20" + bytes(32)
    # early_data and pre_shared_key (RFC 8446 sections 4.2.10 and 4.2.11), behind all other extensions.
    added = b"\0\x2a\0\0\0\x29" + len(ticket).to_bytes(2, "big") + ticket
    record, head, rest = hello[:3], hello[5:6], hello[9:]
    at = rest.index(b"\x01\0", 35 + rest[34]) + 2
    extensions = rest[at + 2 :] + added
    message = rest[:at] + len(extensions).to_bytes(2, "big") + extensions
    body = head + len(message).to_bytes(3, "big") + message
    return record + len(body).to_bytes(2, "big") + body


@each_library
@pytest.mark.parametrize("step", [10**6, 100])
def test_early_data_of_the_time_of_another_server_is_skipped(library: str, step: int) -> None:
    """A request of it is; what it is protected with is known to none (RFC 8446 section 4.2.10)."""
    session = begin(library)
    assert session.shake_hands(offer_early_data())
    early = b"\x14\x03\x03\0\1\1\x17\x03\x03" + (1000).to_bytes(2, "big") + b"?" * 1000
    for at in range(0, len(early), step):
        assert session.shake_hands(early[at : at + step]) == b""
    assert not session.is_complete
    session.take()
    # Without that offer it is refused.
    client, session = Client(), begin(library)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.object.do_handshake()
    session.shake_hands(client.outgoing.read())
    with pytest.raises(ssl.SSLError):
        session.shake_hands(early)
    session.take()


@each_library
def test_a_piece_is_sent_when_all_of_it_is(library: str) -> None:
    client, narrow, transport = connect([500, 0, 10**9], library=library)
    with pytest.raises(BlockingIOError):
        transport.send(b"x" * 1000)
    with pytest.raises(BlockingIOError):
        transport.send(b"x" * 1000)
    client.incoming.write(narrow.sent)
    assert client.read() == b""
    taken = len(narrow.sent)
    # The same octets, perhaps with more behind them: only those of the piece are counted.
    assert transport.sendmsg([b"x" * 1000, b"y"]) == 1000
    client.incoming.write(narrow.sent[taken:])
    assert client.read() == b"x" * 1000


@each_library
def test_buffers_are_taken_in_their_order(library: str) -> None:
    client, narrow, transport = connect([10**9], library=library)
    assert transport.sendmsg([b"head", memoryview(b"content"), b"z" * 300_000]) == 300_011
    client.incoming.write(narrow.sent)
    assert client.read() == b"headcontent" + b"z" * 300_000


@each_library
def test_a_head_shares_a_record_with_content_and_pieces_go_out_alone(library: str) -> None:
    client, narrow, transport = connect([10**9], library=library)
    content = bytes(range(256)) * 400
    assert transport.sendmsg([b"head", b"", memoryview(content)]) == 4 + len(content)
    assert narrow.calls == 2
    # The length of a record stands in octets 3 and 4 of its head; 17 of it are overhead (RFC 8446
    # section 5.2).
    assert int.from_bytes(narrow.sent[3:5]) == 16 * 1024 + 17
    client.incoming.write(narrow.sent)
    assert client.read() == b"head" + content


class TalkativeSession:
    """A session whose library has something to say whatever comes, as to renegotiations of TLS 1.2."""

    is_direct = False
    is_ended = False

    def __init__(self) -> None:
        self.outgoing = ssl.MemoryBIO()

    def receive(self, octets: bytes) -> bytes:  # noqa: ARG002
        self.outgoing.write(b"x" * 31)
        return b""

    def take(self) -> bytes:
        return self.outgoing.read()


def test_a_peer_that_takes_nothing_is_owed_little() -> None:
    narrow = NarrowSocket([0])
    transport = TlsTransport(narrow, TalkativeSession())  # type: ignore[arg-type]
    for _ in range(128 * 1024 // 31):
        narrow.to_receive.append(b"y")
        with pytest.raises(BlockingIOError):
            transport.recv(1000)
    narrow.to_receive.append(b"y")
    with pytest.raises(ConnectionAbortedError):
        transport.recv(1000)


def test_one_request_is_one_look_at_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """That no more is there need not be told by an error, which is dear."""
    client, session = Client(), OpensslSession(CONTEXT)
    client.shake_hands(session)
    reads = []
    engine = session._engine

    def count(octets: int) -> bytes:
        reads.append(octets)
        return bytes(engine.read(octets))

    monkeypatch.setattr(session, "_engine", SimpleNamespace(read=count))
    client.object.write(b"request")
    assert session.receive(client.outgoing.read()) == b"request"
    assert len(reads) == 1


def test_one_ticket_is_enough() -> None:
    assert CONTEXT.num_tickets == 1


@each_library
@given(st.data())
def test_what_is_received_is_all_that_is_complete(library: str, data: st.DataObject) -> None:
    client, narrow, transport = connect([10**9], library=library)
    contents = data.draw(st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=5))
    octets = b""
    for content in contents:
        client.object.write(content)
        octets += client.outgoing.read()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(octets) - 1), max_size=6)))
    received = b""
    for begin, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        narrow.to_receive.append(octets[begin:end])
        while narrow.to_receive:
            try:
                received += transport.recv(32 * 1024)
            except BlockingIOError:
                continue
    assert received == b"".join(contents)


@each_library
def test_an_end_is_told_and_understood(library: str) -> None:
    client, narrow, transport = connect([10**9], library=library)
    client.object.write(b"last")
    with pytest.raises(ssl.SSLError):
        client.object.unwrap()
    narrow.to_receive.append(client.outgoing.read())
    assert transport.recv(1000) == b"last"
    narrow.to_receive.append(b"")
    assert transport.recv(1000) == b""
    transport.shutdown(socket.SHUT_WR)
    assert narrow.is_shut
    client.incoming.write(narrow.sent)
    # close_notify came: the client's end of the session is complete (RFC 8446 section 6.1).
    client.object.unwrap()
    sent = len(narrow.sent)
    transport.close()
    assert narrow.is_closed
    assert len(narrow.sent) == sent


@each_library
def test_closing_says_so_even_to_a_peer_that_takes_nothing(library: str) -> None:
    client, narrow, transport = connect([10**9], library=library)
    transport.close()
    client.incoming.write(narrow.sent)
    assert client.object.read(1) == b""
    _, full, transport = connect([0], library=library)
    transport.close()
    assert full.is_closed


@each_library
def test_what_no_key_protects_is_a_fault_with_an_alert(library: str) -> None:
    client, narrow, transport = connect([10**9], library=library)
    narrow.to_receive.append(b"\x17\x03\x03\0\x20" + b"?" * 32)
    with pytest.raises(OSError, match=r"(?i)decryption failed|bad record mac|cannot decrypt"):
        transport.recv(1000)
    transport.close()
    client.incoming.write(narrow.sent)
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.object.read(1)


@each_library
def test_a_look_shows_if_anything_waits(library: str) -> None:
    _, narrow, transport = connect([10**9], library=library)
    with pytest.raises(BlockingIOError):
        transport.recv(1, socket.MSG_PEEK)
    narrow.to_receive.append(b"\x17\x03\x03")
    assert transport.recv(1, socket.MSG_PEEK)
    assert narrow.to_receive == [b"\x17\x03\x03"]


@each_library
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_shake_hands(library: str, version: ssl.TLSVersion) -> None:
    client, session = Client(version), begin(library)
    client.shake_hands(session)
    assert client.object.version() == (
        "TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3"
    )


@pytest.mark.skipif(
    _find_control() is None, reason="this Python does not let its OpenSSL be called"
)
def test_memory_of_a_large_answer_is_there_for_others() -> None:
    """At once, while its connection is open."""
    # In a process of its own: in this one, others may have left memory that is free.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from transports.test_transports_tls import measure_memory; print(measure_memory())",
        ],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    # A buffer of its own takes 81 KiB of each.
    assert int(done.stdout) < 64 * 16_000


def measure_memory() -> int:
    """Return by how much memory has grown after a large answer of each of 64 connections."""
    buffers = Buffers()
    pairs = [connect([10**9], buffers) for _ in range(65)]
    before = 0
    for _, narrow, transport in pairs:
        send_all(transport, b"x" * 100_000)
        narrow.sent = bytearray()
        # What the first needs is there for all.
        before = before or count_resident_octets()
    return count_resident_octets() - before


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40_000)), max_size=12), WIDTHS)
def test_sessions_with_the_same_buffers_do_not_mix(
    steps: list[tuple[int, int]], widths: list[int]
) -> None:
    buffers = Buffers()
    ends = [connect(widths, buffers) for _ in range(3)]
    asked, answered = [b""] * 3, [b""] * 3
    for number, length in steps:
        client, narrow, transport = ends[number]
        client.object.write(bytes([97 + number]) * length)
        # A record in parts leaves nothing for the next session.
        octets = client.outgoing.read()
        middle = 1 + length // 2
        narrow.to_receive += [octets[:middle], octets[middle:]]
        while narrow.to_receive:
            with contextlib.suppress(BlockingIOError):
                asked[number] += transport.recv(32 * 1024)
        send_all(transport, bytes([65 + number]) * length)
        answered[number] += bytes([65 + number]) * length
    for number, (client, narrow, _) in enumerate(ends):
        client.incoming.write(narrow.sent)
        assert client.read() == answered[number]
        assert asked[number] == answered[number].lower()


def test_what_a_fault_leaves_of_a_handshake_reaches_no_other_peer() -> None:
    class Faulty:
        def do_handshake(self) -> None:
            buffers.outgoing.write(b"half a flight")
            raise MemoryError

    buffers = Buffers()
    session = OpensslSession(CONTEXT, buffers=buffers)
    session._engine = Faulty()
    with pytest.raises(MemoryError):
        session.shake_hands(b"hello")
    assert not buffers.incoming.pending
    assert not buffers.outgoing.pending


@each_library
def test_the_end_goes_out_with_the_last_octets(library: str) -> None:
    client, narrow, transport = connect([10**9], library=library)
    assert transport.send(b"answer", LAST) == 6
    transport.close()
    assert narrow.calls == 1
    client.incoming.write(narrow.sent)
    assert client.object.read(6) == b"answer"
    # close_notify (RFC 8446 section 6.1).
    assert client.object.read(1) == b""


def test_an_alert_reaches_its_own_peer_alone() -> None:
    buffers = Buffers()
    (bad, narrow, broken), (good, other, transport) = (connect([10**9], buffers) for _ in range(2))
    # A record that no key protects, and one more behind it.
    narrow.to_receive.append((b"\x17\x03\x03\0\x20" + b"?" * 32) * 2)
    with pytest.raises(ssl.SSLError):
        broken.recv(1000)
    good.object.write(b"request")
    other.to_receive.append(good.outgoing.read())
    assert transport.recv(1000) == b"request"
    transport.send(b"answer")
    good.incoming.write(other.sent)
    assert good.read() == b"answer"
    broken.close()
    bad.incoming.write(narrow.sent)
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        bad.object.read(1)


def connect_sockets(unsent: bytes = b"") -> tuple[Client, socket.socket, TlsTransport]:
    """Return a client, its socket, and a transport whose socket does not wait."""
    client, session = Client(), OpensslSession(CONTEXT)
    client.shake_hands(session)
    theirs, ours = socket.socketpair()
    theirs.setblocking(False)
    transport = TlsTransport(ours, session, unsent and session.protect(unsent), Buffers())
    transport.setblocking(False)
    return client, theirs, transport


def receive_all(client: Client, theirs: socket.socket) -> bytes:
    """Return the plain octets that have come."""
    with contextlib.suppress(BlockingIOError):
        while octets := theirs.recv(1 << 20):
            client.incoming.write(octets)
    return client.read()


needs_library = pytest.mark.skipif(
    _find_control() is None, reason="this Python does not let its OpenSSL be called"
)


@needs_library
@pytest.mark.parametrize("unsent", [b"", b"before"])
@pytest.mark.parametrize("after", [b"", b"y", b"z" * 3 * PIECE_OCTETS])
def test_large_parts_are_sent_by_the_library_in_their_place(unsent: bytes, after: bytes) -> None:
    client, theirs, transport = connect_sockets(unsent)
    large = os.urandom(5 * PIECE_OCTETS + 1)
    received = b""
    for content in (b"first", large, b"a", large, after):
        view = memoryview(content)
        while view:
            try:
                view = view[transport.send(view) :]
            except BlockingIOError:
                assert transport._session.is_direct or len(content) != len(large)
                received += receive_all(client, theirs)
    received += receive_all(client, theirs)
    assert received == unsent + b"first" + large + b"a" + large + after
    client.object.write(b"request")
    theirs.send(client.outgoing.read())
    assert transport.recv(1000) == b"request"
    transport.close()
    assert theirs.recv(1000)
    theirs.close()


@needs_library
def test_octets_that_the_library_has_begun_with_are_those_that_count() -> None:
    client, theirs, transport = connect_sockets()
    large = b"x" * (16 * PIECE_OCTETS)
    with pytest.raises(BlockingIOError):
        transport.send(large)
    received = b""
    while True:
        received += receive_all(client, theirs)
        try:
            # With more behind them, as several buffers.
            assert transport.sendmsg([memoryview(large), b"more"]) == len(large)
            break
        except BlockingIOError:
            continue
    assert received + receive_all(client, theirs) == large
    transport.close()
    theirs.close()


@needs_library
def test_a_request_behind_a_large_part_finds_the_buffer_in_its_place() -> None:
    """So that what the library says to it by itself ends nothing where the socket is full."""
    client, theirs, transport = connect_sockets()
    with contextlib.suppress(BlockingIOError):
        while True:
            transport.send(b"x" * PIECE_OCTETS)
    modes = [transport._session.is_direct]
    received = receive_all(client, theirs)
    with contextlib.suppress(BlockingIOError):
        transport.send(b"x" * PIECE_OCTETS)
    client.object.write(b"request")
    theirs.send(client.outgoing.read())
    assert transport.recv(1000) == b"request"
    modes.append(transport._session.is_direct)
    assert modes == [True, False]
    received += receive_all(client, theirs)
    assert set(received) == {ord("x")}
    transport.close()
    theirs.close()


@needs_library
def test_closing_in_the_middle_of_a_large_part_is_truncation_for_the_client() -> None:
    client, theirs, transport = connect_sockets()
    with pytest.raises(BlockingIOError):
        transport.send(b"x" * (16 * PIECE_OCTETS))
    transport.close()
    received = receive_all(client, theirs)
    assert set(received) == {ord("x")}
    assert len(received) < 16 * PIECE_OCTETS
    # The connection is over, and close_notify was not said. (At the end of its octets, the library of
    # Python 3.11.2 tells of no error.)
    assert theirs.recv(1) == b""
    with pytest.raises(ssl.SSLWantReadError):
        client.object.read(1)
    theirs.close()


@needs_library
def test_a_peer_that_is_gone_in_the_middle_of_a_large_part_is_a_fault() -> None:
    _, theirs, transport = connect_sockets()
    with pytest.raises(BlockingIOError):
        transport.send(b"x" * (16 * PIECE_OCTETS))
    theirs.close()
    with pytest.raises(OSError, match=r".") as caught:
        transport.send(b"x" * (16 * PIECE_OCTETS))
    assert not isinstance(caught.value, BlockingIOError)
    transport.close()


def count_resident_octets() -> int:
    """Return what this process has in memory (proc_pid_statm(5))."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
