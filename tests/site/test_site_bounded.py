"""A flood of requests that never come again does not make the server grow.

By default 50,000 requests of each kind are sent to fill what is bounded, and 150,000 more to see that
it is; marked slow, a million.
"""

import gc
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Serve, Server
from epollo.quantities import MEBIBYTE
from epollo.site.compressor import Compressor, Task
from epollo.site.representation import KeptFile, keep, represent
from site_grounds import Ground, count_descriptors

BATCH = 50
GROWTH_OCTETS_LIMIT = 4 * MEBIBYTE
# Filled by the first requests.
SMALL_CACHE = ("--cache-size", "8MiB")

Form = Callable[[int], bytes]
"""From a number to a request that no other number has."""


def targets(number: int) -> bytes:
    return b"GET /%d/nothing HTTP/1.1\r\nHost: a\r\n\r\n" % number


def queries(number: int) -> bytes:
    return b"GET /page.txt?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number


def cookies(number: int) -> bytes:
    return b"GET /page.txt HTTP/1.1\r\nHost: a\r\nCookie: user=%d\r\n\r\n" % number


def field_names(number: int) -> bytes:
    return b"GET /page.txt HTTP/1.1\r\nHost: a\r\nX-%d: a\r\n\r\n" % number


def hosts(number: int) -> bytes:
    return b"GET /page.txt HTTP/1.1\r\nHost: h%d\r\n\r\n" % number


def codings(number: int) -> bytes:
    return b"GET /page.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: x%d\r\n\r\n" % number


def tags(number: int) -> bytes:
    return b'GET /page.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: "%d"\r\n\r\n' % number


def ranges(number: int) -> bytes:
    return b"GET /page.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n" % (
        number % 1000,
        number + 1000,
    )


FORMS = (targets, queries, cookies, field_names, hosts, codings, tags, ranges)


def send_flood(server: Server, form: Form, numbers: Iterator[int], count: int) -> None:
    """Send ``count`` requests, some at a time, and see that each is answered."""
    with server.connect(60) as peer:
        for _ in range(count // BATCH):
            peer.sendall(b"".join(form(next(numbers)) for _ in range(BATCH)))
            receive_answers(peer, BATCH)


def receive_answers(peer: socket.socket, count: int) -> None:
    # No content here holds the start of a status line, and each answer ends in a line of its own.
    octets = b""
    while octets.count(b"HTTP/1.1 ") < count or not octets.endswith(b"\n"):
        part = peer.recv(262_144)
        assert part, "closed"
        octets += part
    assert octets.count(b"HTTP/1.1 ") == count


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_bytes(b"line of text\n" * 5)
    return tmp_path


def measure_growth(server: Server, forms: tuple[Form, ...], first: int, more: int) -> int:
    """Return by how many octets the server grew between the first requests and some more."""
    numbers = iter(range(first + more))
    for form in forms:
        send_flood(server, form, numbers, first // len(forms))
    before = server.resident_octets()
    for form in forms:
        send_flood(server, form, numbers, more // len(forms))
    return server.resident_octets() - before


@pytest.mark.long
def test_flood_of_all_kinds(serve: Serve, root: Path) -> None:
    server = serve(root, "--quiet", *SMALL_CACHE)
    assert measure_growth(server, FORMS, 50_000, 150_000) < GROWTH_OCTETS_LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_flood_of_a_million(serve: Serve, root: Path, form: Form) -> None:
    server = serve(root, "--quiet", *SMALL_CACHE)
    growth = measure_growth(server, (form,), 100_000, 1_000_000)
    print(f"{form.__name__}: grew by {growth / 1024:.0f} KiB")
    assert growth < GROWTH_OCTETS_LIMIT


def test_flood_of_long_paths_of_short_names(serve: Serve, root: Path) -> None:
    # Each name of a path is an object: these take many times the octets of the request.
    def long_targets(number: int) -> bytes:
        return b"GET /%d%b HTTP/1.1\r\nHost: a\r\n\r\n" % (number, b"/aa" * 2600)

    server = serve(root, "--quiet")
    before = server.resident_octets()
    send_flood(server, long_targets, iter(range(10_000)), 1000)
    assert server.resident_octets() - before < 24 * MEBIBYTE


def test_files_are_kept_within_the_size_of_the_cache(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.bin").write_bytes(b"%06d" % number * 2000)
    with Ground(tmp_path, cache_octets=MEBIBYTE) as ground:
        for number in [*range(300), *range(0, 300, 7)]:
            assert ground.get(f"/{number}.bin")[:6] == b"%06d" % number
            assert ground.catalogue.resources.files.octets <= MEBIBYTE
        assert len(ground.catalogue.resources.files) > 50


def test_files_that_were_asked_for_a_thousand_times_make_room_for_others(tmp_path: Path) -> None:
    """Of a thousand requests only the last few count: the cache would turn as often in search of room."""
    for number in range(60):
        (tmp_path / f"{number}.bin").write_bytes(b"%06d" % number * 2000)
    former, between, later = range(20), range(20, 30), range(30, 50)
    with Ground(tmp_path, cache_octets=300_000) as ground:
        # What was asked for again when there was no room any more is in the main queue.
        for times, numbers in ((2, former), (1, between), (1000, former), (6, later)):
            for _ in range(times):
                for number in numbers:
                    ground.get(f"/{number}.bin")
        kept = [(b"%d.bin" % number,) for number in later]
        assert sum(ground.catalogue.resources.files.get(names) is not None for names in kept) >= 18


def test_nothing_depends_on_what_was_evicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.folders._OPEN_LIMIT", 4)
    for number in range(200):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "page.txt").write_bytes(b"x" * 10_000)
    with Ground(tmp_path, cache_octets=200_000) as ground:
        watch = ground.catalogue.watch
        assert watch is not None
        for number in range(200):
            ground.get(f"/{number}/page.txt")
            ground.status(f"/{number}/nothing")
            ground.clock.turn()
        # The folders of what is kept, of what is remembered to be missing, and those above the root.
        for number in range(200):
            (tmp_path / str(number) / "page.txt").write_bytes(b"y")
        ground.ask("/")
        for number in range(200):
            ground.status(f"/{number}/page.txt")
        kept = len(ground.catalogue.resources.files) + len(ground.catalogue.resources.absences)
        depended = sum(
            len(folder.select(name))
            for folder in watch._folders.values()
            for name in folder.dependents
        )
        assert depended <= 2 * kept + 20
        assert all(folder.dependents for folder in watch._folders.values())


class FullCompressor(Compressor):
    """One that takes no task, and says so at once or only when it is given one."""

    def __init__(self, *, says_so: bool) -> None:
        super().__init__(lambda call: call(), print)
        self._says_so = says_so

    def has_room(self) -> bool:
        return not self._says_so

    def add(self, task: Task) -> bool:  # noqa: ARG002
        return False


@pytest.mark.parametrize("says_so", [True, False])
def test_a_resource_does_not_grow_while_there_is_no_room_for_its_codings(
    root: Path, says_so: bool
) -> None:
    with Ground(root) as ground:
        compressor = FullCompressor(says_so=says_so)
        resource = ground.catalogue.find((b"page.txt",))
        before = resource.edges
        for _ in range(100):
            ground.catalogue.offer(resource, compressor, b"gzip")
        # The names of its sidecar files, once, and only if these were looked for.
        assert len(resource.edges) == len(before) + (0 if says_so else 3)
        assert len(set(resource.edges)) == len(resource.edges)
        assert not resource.offered


def ignore(*_: object) -> None:
    """Take what a compressor hands on, and do nothing."""


def test_a_compressor_that_is_full_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epollo.site.compressor.TASKS_LIMIT", 0)
    compressor = Compressor(lambda call: call(), print)
    task = Task(b"", {}, lambda: True, ignore, ignore)
    assert not compressor.has_room()
    assert not compressor.add(task)


def test_descriptors_of_content_that_is_kept_are_bounded() -> None:
    """Beyond the limit of sealed files content is kept as octets; what is let go of makes room."""
    gc.collect()
    # Another test's may still be there.
    room = 512 - KeptFile._count
    kept = [represent(b"x" * 65_536) for _ in range(514)]
    are_octets = [isinstance(one.content, bytes) for one in kept]
    assert are_octets == [False] * room + [True] * (514 - room)
    assert {one.read() for one in kept[-3:]} == {b"x" * 65_536}
    del kept[0]
    gc.collect()
    assert not isinstance(keep(b"x" * 65_536), bytes)
    assert isinstance(keep(b"x" * 65_535), bytes)


def test_memory_of_content_that_is_kept_counts_as_a_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gc.collect()
    before, descriptors = KeptFile._count, count_descriptors()
    file = KeptFile(b"abc" * 30_000)
    memory = file.map()
    assert memory is not None
    assert memory.tobytes() == b"abc" * 30_000
    assert memory.readonly
    assert file.map() is memory
    assert KeptFile._count - before == count_descriptors() - descriptors == 2
    del file
    assert KeptFile._count == before
    # An answer that is under way still has it.
    assert memory[:3].tobytes() == b"abc"
    del memory
    assert count_descriptors() == descriptors
    file = KeptFile(b"abc")
    monkeypatch.setattr("epollo.site.representation._KEPT_FILES_LIMIT", KeptFile._count)
    assert file.map() is None


def test_descriptors_of_files_that_are_not_kept_are_bounded(tmp_path: Path) -> None:
    """Beyond the limit of files that answers share, each answer opens its own."""
    for number in range(140):
        (tmp_path / f"{number}.bin").write_bytes(b"%d" % number * 3000)
    with Ground(tmp_path, kept_octets_limit=0) as ground:
        # The folder is kept open.
        ground.status("/nothing")
        before = count_descriptors()
        for number in range(140):
            assert ground.get(f"/{number}.bin") == b"%d" % number * 3000
        assert 100 < count_descriptors() - before <= 128
    # What a site kept is given back with it, and leaves room for the files of others.
    del ground
    gc.collect()
    assert count_descriptors() < before
