"""Negotiation: the coding to send now, and what is asked for for the requests to come."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.http.content_coding import IDENTITY
from epollo.http.message import PERMANENT, Basis, OneSecond
from epollo.site.compressor import Compressor, Task
from epollo.site.negotiation import Negotiator
from site_grounds import Ground, PromptCompressor

TEXT = b"text " * 100


class CountingCompressor(Compressor):
    """A compressor that has as much room as a test says, and makes nothing."""

    def __init__(self, room: int) -> None:
        super().__init__(lambda call: call(), print)
        self.room = room
        self.tasks: list[Task] = []

    def has_room(self) -> bool:
        return len(self.tasks) < self.room

    def add(self, task: Task) -> bool:
        self.tasks.append(task)
        return True


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codings are made when they are looked for first."""
    monkeypatch.setattr("epollo.site.demand._ASKED_MINIMUM", 1)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    (tmp_path / "page.txt").write_bytes(TEXT)
    (tmp_path / "short.txt").write_bytes(b"text")
    with Ground(tmp_path) as ground:
        yield ground


def negotiate(
    ground: Ground, negotiator: Negotiator, accept_encoding: bytes, name: bytes = b"page.txt"
) -> tuple[bytes, Basis | None]:
    resource = ground.catalogue.find((name,))
    assert resource.edition is not None
    return negotiator.negotiate(accept_encoding, resource, resource.edition)


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"br, gzip", b"br"),
        (b"br;q=0.1, gzip", b"gzip"),
        (b"*", b"zstd"),
        (b"identity", IDENTITY),
        (b"unknown", IDENTITY),
        (b"", IDENTITY),
        # RFC 9110 section 12.5.3: nothing is acceptable, and it is sent as it is.
        (b"identity;q=0, *;q=0", IDENTITY),
    ],
)
def test_the_coding_that_a_client_prefers(
    ground: Ground, accept_encoding: bytes, coding: bytes
) -> None:
    negotiator = Negotiator(ground.catalogue, PromptCompressor())
    for _ in range(2):
        chosen, until = negotiate(ground, negotiator, accept_encoding)
        assert until is PERMANENT
    assert chosen == coding


def test_codings_are_asked_for_once(ground: Ground) -> None:
    compressor = CountingCompressor(room=9)
    negotiator = Negotiator(ground.catalogue, compressor)
    for _ in range(3):
        assert negotiate(ground, negotiator, b"gzip") == (IDENTITY, PERMANENT)
    assert len(compressor.tasks) == 1


def test_without_room_they_are_asked_for_again(ground: Ground) -> None:
    compressor = CountingCompressor(room=0)
    negotiator = Negotiator(ground.catalogue, compressor)
    for _ in range(3):
        coding, until = negotiate(ground, negotiator, b"gzip")
        assert coding == IDENTITY
        assert isinstance(until, OneSecond)
    compressor.room = 1
    assert negotiate(ground, negotiator, b"gzip") == (IDENTITY, PERMANENT)
    assert len(compressor.tasks) == 1


@pytest.mark.parametrize(
    ("accept_encoding", "name"),
    [(b"identity", b"page.txt"), (b"", b"page.txt"), (b"gzip", b"short.txt")],
)
def test_nothing_is_asked_for_that_no_client_would_get(
    ground: Ground, accept_encoding: bytes, name: bytes
) -> None:
    compressor = CountingCompressor(room=9)
    negotiator = Negotiator(ground.catalogue, compressor)
    assert negotiate(ground, negotiator, accept_encoding, name) == (IDENTITY, PERMANENT)
    assert not compressor.tasks


def test_without_a_compressor_content_is_sent_as_it_is(ground: Ground) -> None:
    negotiator = Negotiator(ground.catalogue, None)
    assert negotiate(ground, negotiator, b"br, gzip") == (IDENTITY, PERMANENT)


def test_what_is_remembered_of_clients_is_bounded(ground: Ground) -> None:
    negotiator = Negotiator(ground.catalogue, None)
    for number in range(2000):
        negotiate(ground, negotiator, b"gzip, x-%d" % number)
    negotiate(ground, negotiator, b"gzip, " * 20_000)
    assert len(negotiator._preferences) <= 2 * 512
    assert negotiator._preferences._octets <= 64 * 1024
