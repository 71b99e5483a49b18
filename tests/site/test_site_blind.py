"""Where inotify cannot see: what is served is true again after a second at the most."""

import errno
import mmap
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from conftest import Serve, receive_content, receive_head
from epollo.budget import Budget
from epollo.quantities import MEBIBYTE
from epollo.site.catalogue import Catalogue
from epollo.site.version import Version
from loop.hand_clock import HandClock
from site_grounds import Ground, replace, switch_link

LIMITS = Path("/proc/sys/fs/inotify")
PATIENCE_SECONDS = 2.5
"""One second and the rest of another one, and a machine that is busy with other things."""

NO_WATCH = OSError(errno.ENOSPC, "No space left on device")


def blind_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> INotify:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("epollo.site.events.INotify", refuse)


def blind_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise NO_WATCH

    monkeypatch.setattr(INotify, "add_watch", refuse)


@pytest.fixture(params=[blind_instance, blind_watches])
def blind(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Ground]:
    """A site that learns nothing from the kernel."""
    request.param(monkeypatch)
    (tmp_path / "root").mkdir()
    with Ground(tmp_path / "root") as ground:
        assert len(ground.reports) == 1
        yield ground


def test_without_descriptors_there_is_an_error_and_no_report(tmp_path: Path) -> None:
    """It is not taken for the limit of inotify instances, which has the same number (inotify_init(2))."""
    reports: list[str] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    place = os.dup(0)
    os.close(place)
    # One descriptor is left, which the root takes.
    resource.setrlimit(resource.RLIMIT_NOFILE, (place + 1, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Catalogue(
                tmp_path,
                HandClock(),
                reports.append,
                budget=Budget(MEBIBYTE),
                kept_octets_limit=MEBIBYTE,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        # The catalogue was not made, and its root is left behind.
        os.close(place)
    assert not reports


def test_no_program_is_run_and_no_file_made_to_watch(tmp_path: Path) -> None:
    script = (
        "import sys; from epollo.site.watch import Watch; events = [];"
        "sys.addaudithook(lambda event, _: events.append(event));"
        "Watch(print, print).close();"
        "assert not {'subprocess.Popen', 'tempfile.mkstemp', 'tempfile.mkdtemp'} & {*events}, events"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=20)


def see(ground: Ground, target: str) -> tuple[int, bytes]:
    """Return what is served when a second has passed."""
    ground.clock.turn()
    answer = ground.ask(target)
    return answer.status, answer.content


def test_files_come_change_and_go(blind: Ground) -> None:
    page = blind.root / "page.txt"
    for number in range(20):
        assert see(blind, "/page.txt")[0] == 404
        page.write_bytes(b"%06d" % number)
        assert see(blind, "/page.txt") == (200, b"%06d" % number)
        page.write_bytes(b"again!")
        assert see(blind, "/page.txt") == (200, b"again!")
        replace(page, b"moved!")
        assert see(blind, "/page.txt") == (200, b"moved!")
        page.unlink()
    assert len(blind.reports) == 1


def test_folders_and_links_change(blind: Ground) -> None:
    for name in ("a", "b"):
        (blind.root / name).mkdir()
        (blind.root / name / "page.txt").write_text(name)
    link = blind.root / "link"
    for name in "abab":
        switch_link(link, name)
        assert see(blind, "/link/page.txt") == (200, name.encode())
    (blind.root / "a").rename(blind.root / "c")
    assert see(blind, "/a/page.txt")[0] == 404
    assert see(blind, "/c/page.txt") == (200, b"a")


def test_link_that_comes_to_lead_out_of_the_root(blind: Ground, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (blind.root / "page.txt").write_text("page")
    link = blind.root / "link"
    for target, expected in (("page.txt", 200), ("../secret.txt", 404)) * 3:
        switch_link(link, target)
        assert see(blind, "/link")[0] == expected


def test_root_is_replaced(blind: Ground, tmp_path: Path) -> None:
    for number in range(5):
        new = tmp_path / "new"
        new.mkdir()
        (new / "page.txt").write_bytes(b"%d" % number)
        blind.root.rename(tmp_path / f"old{number}")
        new.rename(blind.root)
        assert see(blind, "/page.txt") == (200, b"%d" % number)


def test_two_edits_within_one_tick_of_a_coarse_clock(
    blind: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file system that counts whole seconds tells no two edits of one second apart by stat(2).
    blind.clock.second = 2_000_000_000

    def version_of_second(status: os.stat_result) -> Version:
        changed_ns = 2_000_000_000 * 10**9
        return Version(status.st_dev, status.st_ino, status.st_size, changed_ns, changed_ns)

    monkeypatch.setattr(
        "epollo.site.comparison.is_version",
        lambda status, version: version_of_second(status) == version,
    )
    monkeypatch.setattr("epollo.site.representation.version_of", version_of_second)
    monkeypatch.setattr("epollo.site.promise.version_of", version_of_second)
    page = blind.root / "page.txt"
    page.write_bytes(b"one")
    assert blind.get("/page.txt") == b"one"
    page.write_bytes(b"two")
    assert see(blind, "/page.txt") == (200, b"two")


def test_file_that_has_not_changed_for_long_is_not_read_again(blind: Ground) -> None:
    page = blind.root / "page.txt"
    page.write_bytes(b"content")
    first = blind.catalogue.find((b"page.txt",))
    for _ in range(5):
        blind.clock.turn()
        assert blind.catalogue.find((b"page.txt",)) is first


def test_events_that_were_lost(tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    page.write_text("one")
    with Ground(tmp_path) as ground:
        assert ground.get("/page.txt") == b"one"
        others = [tmp_path / "a", tmp_path / "b"]
        for other in others:
            other.touch()
        # The same event twice in a row would be told once (inotify(7)).
        for number in range(int((LIMITS / "max_queued_events").read_text()) + 100):
            os.utime(others[number % 2])
        page.write_text("two")
        former = ground.catalogue.find((b"page.txt",))
        assert ground.get("/page.txt") == b"two"
        assert not former.is_current
        page.write_text("three")
        assert ground.get("/page.txt") == b"three"


def test_watches_that_are_used_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.txt").write_text("one")
    add_watch = INotify.add_watch
    left = 1

    def add_some(self: INotify, path: str, mask: int) -> int:
        nonlocal left
        if left == 0:
            raise NO_WATCH
        left -= 1
        return int(add_watch(self, path, mask))

    with Ground(tmp_path) as ground:
        monkeypatch.setattr(INotify, "add_watch", add_some)
        left = 2
        for name in ("a", "b", "c"):
            assert see(ground, f"/{name}/page.txt") == (200, b"one")
        for name in ("a", "b", "c"):
            replace(tmp_path / name / "page.txt", b"two")
        assert ground.get("/a/page.txt") == b"two"
        ground.clock.turn()
        for name in ("b", "c"):
            assert ground.get(f"/{name}/page.txt") == b"two"
        assert len(ground.reports) == 1


def see_soon(look: Callable[[], bytes], expected: bytes) -> bool:
    """Look until the expected is seen, within our patience."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if look() == expected:
            return True
    return False


@pytest.mark.parametrize("keep", ["1048576", "0"])
def test_writes_through_a_mapping(serve: Serve, tmp_path: Path, keep: str) -> None:
    page = tmp_path / "page.txt"
    page.write_bytes(b"0" * 5000)
    server = serve(tmp_path, "--quiet", "--keep-size", keep)
    with page.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:

        def look() -> bytes:
            # Anew each time: the connection of a large file that changes may be cut.
            with server.connect() as peer:
                return exchange(peer, "/page.txt")

        assert look() == b"0" * 5000
        mapped[:] = b"1" * 5000
        assert see_soon(look, b"1" * 5000)
        # The time of the file stays: the kernel changed it at the first write, and waits for msync(2).
        mapped[:] = b"2" * 5000
    # To unmap it closes it, of which inotify tells.
    assert look() == b"2" * 5000


def test_writes_under_a_name_outside_of_the_root(serve: Serve, site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.hardlink_to(site / "page.html")
    server = serve(site, "--quiet")
    server.get("/page.html")
    for content in (b"one", b"two"):
        other.write_bytes(content)
        assert see_soon(lambda: server.get("/page.html"), content)


def exchange(peer: socket.socket, target: str) -> bytes:
    peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, rest = receive_head(peer)
    return receive_content(peer, head, rest)
