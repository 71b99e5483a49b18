"""Every readable case of ``tests/cases``, replayed however its octets may arrive."""

import itertools
import os
import random
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from conftest import Server, managed_servers, receive_all
from connections.in_process import FolderSite, InProcess, UnhurriedClock
from properties.answers import AnswerRead, read_answers
from properties.wire_cases import WireCase, list_cases, parse_cases, parse_octets

CASES = list_cases()
SHORT_CASES = [case for case in CASES if len(case.request) <= 1000]
POLLER_NAMES = ["busy", "select", "poll", "epoll"]
SENTINEL = b"GET /page.html HTTP/1.1\r\nHost: sentinel\r\nConnection: close\r\n\r\n"
HEADERS = b"""\
/rules/data.txt
  X-Rule: 1
  X-Removed: 1
  Content-Type: text/x-data
/rules/data*
  X-Rule: 2
  Cache-Control: max-age=5
  ! X-Removed
"""
REDIRECTS = b"""\
/rules/old      /rules/new
/rules/kept     https://elsewhere.example/  308
/rules/splat/*  /to/:splat                  302
/rules/bare/*   /:splat                     302
/rules/query    id=:id /by-id/:id           302
/rules/app/*    /page                       200
/rules/gone     /page.html                  410
/rules/:a/:b    /:b/:a                      302
/rules/there/   /rules/new
/rules/forced/  /rules/new                  302!
http://old.example/* https://new.example/:splat 301!
"""
FILES = {
    "_headers": HEADERS,
    "_redirects": REDIRECTS,
    "index.html": b"index\n",
    "page.html": b"page\n",
    "digits.txt": b"0123456789",
    "assets/app-DRf8L97S.js": b"app\n",
    "empty.txt": b"",
    "epoch.txt": b"epoch\n",
    "folder/index.html": b"folder\n",
    "evil/index.html": b"evil\n",
    "\\evil/index.html": b"backslash\n",
    "name with space.txt": b"space\n",
    "100%.txt": b"percent\n",
    "%2e%2e.txt": b"encoded\n",
    "rules/data.txt": b"0123456789",
    "rules/there/index.html": b"there\n",
    "rules/forced/index.html": b"forced\n",
    ".secret": b"secret\n",
    "folder/.secret": b"secret\n",
    ".git/config": b"secret\n",
    ".well-known/security.txt": b"contact\n",
    "../outside.txt": b"outside\n",
}


@pytest.fixture(scope="module")
def cases_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that the README of the cases describes."""
    root = tmp_path_factory.mktemp("cases") / "site"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # Long ago: within the second of a write Last-Modified is that of the second before.
        seconds = 0 if name == "epoch.txt" else 784_111_777
        os.utime(path, (seconds, seconds))
    return root


def check(case: WireCase, octets: bytes, is_closed: bool) -> list[AnswerRead]:
    """Hold what came against what the case expects; return the answers."""
    assert is_closed, "the connection was to end"
    answers = list(read_answers(octets, case.methods))
    if case.ending == "open":
        sentinel = answers.pop()
        assert (sentinel.status, sentinel.content) == (200, b"page\n"), "out of step"
    assert [answer.status for answer in answers] == [one.status for one in case.answers]
    for answer, expected in zip(answers, case.answers, strict=True):
        for name, value in expected.fields:
            assert answer.value(name) == value, name
        for name in expected.absent:
            assert answer.value(name) is None, name
        assert expected.content in {None, answer.content}
    if answers:
        assert answers[-1].is_last == (case.ending == "closed")
    return answers


def cut(octets: bytes, places: Iterable[int]) -> list[bytes]:
    """Return the octets in parts."""
    edges = [0, *sorted(places), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(edges)]


def replay(harness: InProcess, case: WireCase, parts: list[bytes]) -> list[AnswerRead]:
    """Send the parts one at a time, each received by itself, and check the answers."""
    peer = harness.connect(parts[0])
    harness.settle(peer)
    for part in parts[1:]:
        peer.send(part)
        harness.settle(peer)
    if case.ending == "open":
        assert not peer.is_closed
        peer.send(SENTINEL)
        harness.settle(peer)
    elif case.ending == "waits":
        assert not peer.is_closed
        peer.half_close()
        harness.settle(peer)
    answers = check(case, bytes(peer.received), peer.is_closed)
    # The operator is told of a client that speaks TLS, once in a while.
    harness.reports[:] = [line for line in harness.reports if "speaks TLS" not in line]
    harness.forget_peers()
    return answers


def list_places(case: WireCase) -> list[int]:
    """Return every place to cut at; of a long case those where something begins or ends."""
    octets = case.request
    if len(octets) <= 1000:
        return list(range(1, len(octets)))
    around = [place for line in octets.split(b"\r\n")[:3] for place in (len(line), len(line) + 1)]
    limits = [limit + offset for limit in (8192, 32768) for offset in range(-6, 7)]
    ends = [len(octets) - offset for offset in range(1, 8)]
    return sorted({place for place in (*around, *limits, *ends) if 0 < place < len(octets)})


@pytest.fixture(scope="module")
def harnesses(cases_site: Path) -> Iterator[tuple[InProcess, InProcess]]:
    """Two ways to the same answers: with recall and without."""
    clock = UnhurriedClock()
    with (
        FolderSite(cases_site, clock) as site,
        InProcess(site.respond, clock=clock, has_recall=True) as recalling,
        InProcess(site.respond, clock=clock, has_recall=False) as reading,
    ):
        yield recalling, reading


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cut_in_two_at_every_place(harnesses: tuple[InProcess, InProcess], case: WireCase) -> None:
    whole = replay(harnesses[0], case, [case.request])
    assert replay(harnesses[1], case, [case.request]) == whole
    for place in list_places(case):
        parts = cut(case.request, [place])
        assert replay(harnesses[place % 2], case, parts) == whole, place


@pytest.mark.parametrize("case", SHORT_CASES, ids=lambda case: case.name)
def test_octet_by_octet(harnesses: tuple[InProcess, InProcess], case: WireCase) -> None:
    octet_by_octet = cut(case.request, range(1, len(case.request)))
    whole = replay(harnesses[0], case, [case.request])
    for harness in harnesses:
        assert replay(harness, case, octet_by_octet) == whole


@pytest.mark.parametrize("poller_name", POLLER_NAMES)
def test_random_cuts_over_every_poller(poller_name: str, cases_site: Path) -> None:
    chance = random.Random(poller_name)
    clock = UnhurriedClock()
    with (
        FolderSite(cases_site, clock) as site,
        InProcess(site.respond, clock=clock, poller_name=poller_name) as harness,
    ):
        for case in CASES:
            count = min(len(case.request) - 1, chance.randrange(1, 20))
            places = chance.sample(range(1, len(case.request)), count)
            assert replay(harness, case, cut(case.request, places)) == replay(
                harness, case, [case.request]
            ), (case.name, places)


@pytest.fixture(scope="module", params=POLLER_NAMES)
def server(
    request: pytest.FixtureRequest, cases_site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for each poller, one after the other: the busy one takes a whole processor."""
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(cases_site, "--quiet", "--poller", request.param)


def exchange_with_server(server: Server, case: WireCase, parts: list[bytes]) -> list[AnswerRead]:
    """Do what `replay` does, with a process."""
    with server.connect() as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in parts:
                peer.sendall(part)
        except ConnectionError:
            # What a client sends after it announced the end of the connection is not read.
            assert case.ending == "closed"
        if case.ending == "open":
            peer.sendall(SENTINEL)
        elif case.ending == "waits":
            peer.shutdown(socket.SHUT_WR)
        return check(case, receive_all(peer), is_closed=True)


def test_every_case_against_a_server(server: Server) -> None:
    for case in CASES:
        whole = exchange_with_server(server, case, [case.request])
        if len(case.request) <= 1000:
            octet_by_octet = cut(case.request, range(1, len(case.request)))
            assert exchange_with_server(server, case, octet_by_octet) == whole, case.name


def test_cases_are_named_once() -> None:
    names = [case.name for case in CASES]
    assert len(names) > 200
    assert len(set(names)) == len(names)


def test_notation() -> None:
    assert parse_octets("a\\r\\n\n\\x00\\t\\\\\\{b\\n*3}\n") == b"a\r\n\0\t\\b\nb\nb\n"
    with pytest.raises(AssertionError):
        parse_octets("\\q")
    with pytest.raises(AssertionError):
        parse_cases("# topic\n\n## A case without octets\n\nWhy.\n\n1. open\n", "topic")
