"""Versions of files: tags from content, lengths that are true."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.http.dates import format_date
from epollo.site.entity_tags import tag_content
from epollo.site.media_types import UNKNOWN
from epollo.site.representation import read_edition
from site_grounds import START_SECOND, Ground, TurnedClock, replace


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    root = tmp_path / "root"
    root.mkdir()
    with Ground(root, kept_octets_limit=1000) as ground:
        yield ground


def tag(ground: Ground, target: str) -> str:
    return ground.ask(target).fields["etag"]


def test_same_content_has_the_same_tag_everywhere(ground: Ground) -> None:
    (ground.root / "a.txt").write_text("content")
    (ground.root / "b.txt").write_text("content")
    os.utime(ground.root / "b.txt", (1, 1))
    assert (
        tag(ground, "/a.txt") == tag(ground, "/b.txt") == tag_content(b"content").format().decode()
    )


def test_edit_in_the_same_instant_to_the_same_length_has_another_tag(ground: Ground) -> None:
    page = ground.root / "page.txt"
    tags = set()
    for number in range(50):
        page.write_text(f"{number:04}")
        os.utime(page, ns=(1_000_000_000, 1_000_000_000))
        tags.add(tag(ground, "/page.txt"))
    assert len(tags) == 50


def test_touch_keeps_the_tag_and_moves_the_date(ground: Ground) -> None:
    page = ground.root / "page.txt"
    page.write_text("content")
    os.utime(page, (1000, 1000))
    before = ground.ask("/page.txt").fields
    os.utime(page, (5000, 5000))
    after = ground.ask("/page.txt").fields
    assert before["etag"] == after["etag"]
    assert before["last-modified"] == "Thu, 01 Jan 1970 00:16:40 GMT"
    assert after["last-modified"] == "Thu, 01 Jan 1970 01:23:20 GMT"


def test_tag_of_a_large_file_tells_versions_apart(ground: Ground) -> None:
    large = ground.root / "large.bin"
    tags = []
    for number in range(10):
        replace(large, b"%d" % number * 5000)
        tags.append(tag(ground, "/large.bin"))
    assert len(set(tags)) == 10
    assert not any(value.startswith("W/") for value in tags)
    os.utime(large, ns=(7, 7))
    early = tag(ground, "/large.bin")
    os.utime(large, ns=(8, 8))
    assert tag(ground, "/large.bin") != early
    # As what was copied in place and given its old time.
    before = large.stat().st_mtime_ns
    tags = [tag(ground, "/large.bin")]
    for octet in (b"x", b"y"):
        with large.open("r+b") as file:
            file.write(octet)
        os.utime(large, ns=(before, before))
        tags.append(tag(ground, "/large.bin"))
    assert len(set(tags)) == 3


def test_length_at_the_limit_decides_what_is_kept(ground: Ground) -> None:
    for octets in (0, 1, 999, 1000, 1001, 5000):
        (ground.root / "file.bin").write_bytes(b"x" * octets)
        answer = ground.ask("/file.bin")
        assert len(answer.content) == octets
        assert answer.is_kept is (octets <= 1000)
        assert answer.is_recallable


@pytest.mark.parametrize("octets", [10, 5000])
@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-86400 * 365 * 2, None),
        (-1, None),
        (0, None),
        (1, None),
        (2, "Thu, 01 Jan 1970 00:00:02 GMT"),
        (315_532_799, "Mon, 31 Dec 1979 23:59:59 GMT"),
        (315_532_800, None),
        (315_532_801, None),
        (315_532_802, "Tue, 01 Jan 1980 00:00:02 GMT"),
    ],
)
def test_dates_that_say_nothing(
    ground: Ground, octets: int, seconds: int, shown: str | None
) -> None:
    page = ground.root / "page.txt"
    page.write_bytes(b"x" * octets)
    os.utime(page, (seconds, seconds))
    assert ground.ask("/page.txt").fields.get("last-modified") == shown
    date = format_date(seconds).decode()
    asked = {"If-Modified-Since": date}
    assert ground.ask("/page.txt", asked).status == (200 if shown is None else 304)
    # RFC 9110 section 13.1.4: to be ignored where there is no date.
    assert ground.ask("/page.txt", {"If-Unmodified-Since": date}).status == 200
    resumed = {"Range": "bytes=5-", "If-Range": date}
    assert ground.ask("/page.txt", resumed).status == (200 if shown is None else 206)


@pytest.mark.parametrize("octets", [100, 5000])
def test_a_file_that_was_rolled_back_is_sent(ground: Ground, octets: int) -> None:
    page = ground.root / "page.txt"
    page.write_bytes(b"b" * octets)
    os.utime(page, (2_000_000, 2_000_000))
    date = ground.ask("/page.txt").fields["last-modified"]
    assert ground.ask("/page.txt", {"If-Modified-Since": date}).status == 304
    page.write_bytes(b"a" * octets)
    os.utime(page, (1_000_000, 1_000_000))
    answer = ground.ask("/page.txt", {"If-Modified-Since": date})
    assert (answer.status, answer.content) == (200, b"a" * octets)
    answer = ground.ask("/page.txt", {"Range": "bytes=1-", "If-Range": date})
    assert (answer.status, answer.content) == (200, b"a" * octets)


@pytest.mark.parametrize("octets", [10, 5000])
def test_date_in_the_future_is_not_given_out(tmp_path: Path, octets: int) -> None:
    # RFC 9110 section 8.8.2.1: an origin server must not say a later Last-Modified than its Date.
    page = tmp_path / "page.txt"
    page.write_bytes(b"x" * octets)
    os.utime(page, (START_SECOND + 86400, START_SECOND + 86400))
    with Ground(tmp_path, kept_octets_limit=1000, clock=TurnedClock()) as ground:
        before = format_date(ground.clock.second - 1).decode()
        assert ground.ask("/page.txt").fields["last-modified"] == before
        shown = ground.clock.date.decode()
        ground.clock.turn(10)
        assert ground.ask("/page.txt").fields["last-modified"] == shown
        assert ground.ask("/page.txt", {"If-Modified-Since": shown}).status == 304


@pytest.mark.parametrize("octets", [100, 5000])
def test_a_date_that_was_given_out_is_of_one_version_only(tmp_path: Path, octets: int) -> None:
    """RFC 9110 section 8.8.2.2, for a file that is written to twice within a second."""
    page = tmp_path / "page.txt"
    with Ground(tmp_path, kept_octets_limit=1000, clock=TurnedClock()) as ground:

        def write(content: bytes, nanoseconds: int) -> None:
            page.write_bytes(content * octets)
            instant = START_SECOND * 10**9 + nanoseconds
            os.utime(page, ns=(instant, instant))

        write(b"a", 1000)
        former = ground.ask("/page.txt").fields["last-modified"]
        write(b"b", 2000)
        again = ground.ask("/page.txt", {"If-Modified-Since": former})
        assert (again.status, again.content) == (200, b"b" * octets)
        for _ in range(3):
            resumed = {"Range": "bytes=50-", "If-Range": former}
            answer = ground.ask("/page.txt", resumed)
            assert (answer.status, answer.content) == (200, b"b" * octets)
            assert ground.ask("/page.txt", {"If-Modified-Since": former}).status == 200
            ground.clock.turn()
        shown = ground.ask("/page.txt").fields["last-modified"]
        assert shown == format_date(START_SECOND).decode()
        assert ground.ask("/page.txt", {"If-Modified-Since": shown}).status == 304
        assert ground.ask("/page.txt", {"Range": "bytes=50-", "If-Range": shown}).status == 206


def test_reading_is_of_one_version_or_true_in_length(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0" * 100)
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number = (number + 1) % 10
            with path.open("wb") as file:
                file.write(b"%d" % number * (1000 + 37 * number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(500):
            descriptor = os.open(path, os.O_RDONLY)
            edition = read_edition(descriptor, UNKNOWN, 100_000)
            os.close(descriptor)
            assert edition.identity.content is not None
            assert edition.identity.length == len(edition.identity.content)
    finally:
        is_over.set()
        writer.join()


def test_file_that_shrinks_or_grows_past_the_limit_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    descriptor = os.open(path, os.O_RDONLY)
    os.truncate(path, 10)
    edition = read_edition(descriptor, UNKNOWN, 2000)
    assert edition.identity.content == b"x" * 10
    os.truncate(path, 3000)
    edition = read_edition(descriptor, UNKNOWN, 2000)
    assert edition.identity.content is None
    assert edition.identity.length == 3000
    os.close(descriptor)


def test_file_of_a_length_that_is_not_told(tmp_path: Path) -> None:
    # Files of procfs say that they are empty, and are taken at their word.
    descriptor = os.open("/proc/self/status", os.O_RDONLY)
    edition = read_edition(descriptor, UNKNOWN, 100_000)
    os.close(descriptor)
    assert edition.identity.content == b""
    assert edition.identity.length == 0


def test_file_that_is_longer_each_time_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of it is one reading, as long as the file was before."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    pread = os.pread

    def grow_and_read(descriptor: int, octets: int, offset: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"x")
        return pread(descriptor, octets, offset)

    monkeypatch.setattr(os, "pread", grow_and_read)
    descriptor = os.open(path, os.O_RDONLY)
    edition = read_edition(descriptor, UNKNOWN, 100_000)
    os.close(descriptor)
    assert edition.identity.content == b"x" * edition.version.octets
    assert edition.identity.length == edition.version.octets
    assert path.stat().st_size > edition.version.octets
