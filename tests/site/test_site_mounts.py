"""What is mounted over a folder, or taken away again, is seen by the next request."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Serve, Server, receive_content, receive_head
from epollo.linux.libc import call
from epollo.loop import READABLE
from epollo.pollers import open_poller
from epollo.site.mounts import open_mounts
from site_grounds import Ground

ROUNDS = 20
_CLONE_NEWNS = 0x20000

Mount = Callable[..., None]


@pytest.fixture
def own_namespace() -> Iterator[None]:
    """This thread, and the processes that it starts, have mounts of their own (mount_namespaces(7)).

    A mount that others share would wake every server of this machine, and with it those of other tests.
    """
    folder = Path.cwd()
    former = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            call("unshare", _CLONE_NEWNS)
        except OSError as error:
            pytest.skip(f"nothing can be mounted here: {error}")
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            yield
        finally:
            call("setns", former, _CLONE_NEWNS)
            os.chdir(folder)
    finally:
        os.close(former)


@pytest.fixture
def mount(own_namespace: None) -> Iterator[Mount]:
    """Mount something; what is left of it in the end is unmounted."""
    mounted: list[Path] = []

    def mount(target: Path, *arguments: object) -> None:
        done = subprocess.run(
            ["mount", *map(str, arguments), target], check=False, capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(target)

    yield mount
    for target in reversed(mounted):
        with contextlib.suppress(subprocess.CalledProcessError):
            unmount(target)


def unmount(target: Path) -> None:
    subprocess.run(["umount", "--lazy", target], check=True, capture_output=True)


def ask(server: Server, target: str) -> tuple[int, bytes]:
    with server.connect() as peer:
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head, content = receive_head(peer)
        return int(head[9:12]), receive_content(peer, head, content)


@pytest.mark.parametrize("seconds", [0, -1, 60])
def test_a_mount_elsewhere_ends_nothing(tmp_path: Path, seconds: int) -> None:
    """Also not in the second in which a file was written: it is compared, and not opened again."""
    page = tmp_path / "page.txt"
    page.write_bytes(b"page")
    with Ground(tmp_path) as ground:
        os.utime(page, (ground.clock.second + seconds,) * 2)
        found = ground.catalogue.find((b"page.txt",))
        for _ in range(2):
            ground.catalogue.look_anew()
            assert ground.catalogue.find((b"page.txt",)) is found
            ground.clock.turn()
            assert ground.catalogue.find((b"page.txt",)) is found


@pytest.mark.parametrize(
    "arguments",
    [
        ("--poller", "epoll"),
        ("--poller", "poll"),
        ("--poller", "select"),
        ("--poller", "busy"),
        ("--workers", "1"),
    ],
    ids=" ".join,
)
def test_a_mount_over_a_folder(
    serve: Serve, tmp_path: Path, mount: Mount, arguments: tuple[str, ...]
) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    for folder, content in ((root / "folder", b"under"), (other, b"over")):
        folder.mkdir(parents=True)
        (folder / "page.txt").write_bytes(content)
    (other / "only.txt").write_bytes(b"only")
    server = serve(root, "--quiet", *arguments)
    for _ in range(ROUNDS):
        assert ask(server, "/folder/page.txt") == (200, b"under")
        assert ask(server, "/folder/only.txt")[0] == 404
        mount(root / "folder", "--bind", other)
        assert ask(server, "/folder/page.txt") == (200, b"over")
        assert ask(server, "/folder/only.txt") == (200, b"only")
        unmount(root / "folder")


def test_a_mount_over_a_file(serve: Serve, site: Path, tmp_path: Path, mount: Mount) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"over")
    server = serve(site, "--quiet")
    for _ in range(ROUNDS):
        under = server.get("/page.html")
        mount(site / "page.html", "--bind", other)
        assert server.get("/page.html") == b"over"
        unmount(site / "page.html")
        assert server.get("/page.html") == under


def test_a_mount_over_the_root(serve: Serve, site: Path, tmp_path: Path, mount: Mount) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "page.html").write_bytes(b"over")
    server = serve(site, "--quiet")
    under = server.get("/page.html")
    mount(site, "--bind", other)
    assert server.get("/page.html") == b"over"
    unmount(site)
    assert server.get("/page.html") == under


def test_a_poller_tells_of_each_mount_once(tmp_path: Path, mount: Mount) -> None:
    changes: list[int] = []
    mounts = open_mounts()
    assert mounts is not None
    mounts.on_change = lambda: changes.append(1)
    for name in ("epoll", "poll", "select"):
        poller = open_poller(name).poller
        poller.register(mounts.descriptor, READABLE)
        assert poller.poll(0) == []
        mount(tmp_path, "-t", "tmpfs", "none")
        assert poller.poll(None) == [(mounts.descriptor, READABLE)]
        assert poller.poll(0) == []
        unmount(tmp_path)
        assert poller.poll(None) == [(mounts.descriptor, READABLE)]
        poller.close()
    mounts.on_ready(READABLE)
    mounts.look()
    assert changes == [1]
    mount(tmp_path, "-t", "tmpfs", "none")
    mounts.on_ready(0)
    mounts.on_ready(0)
    assert changes == [1, 1]
    mounts.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(mounts.descriptor)
