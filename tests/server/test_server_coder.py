"""What makes the codings of a server: one process for all workers, which may die at any time."""

import gzip
import os
import re
import signal
from pathlib import Path

import pytest

from conftest import Serve, Server, receive_content, receive_head, rest
from server.workers import Load, await_line, await_true, children, coders, is_alive

TEXT = "".join(f"<p>paragraph {number} of a page, {number * number}</p>\n" for number in range(400))


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder of pages, each with another content."""
    for number in range(8):
        (tmp_path / f"page{number}.html").write_text(f"<title>{number}</title>{TEXT}")
    # Codings are not made in the second in which a file changed.
    rest(1.1)
    return tmp_path


def prefer(server: Server) -> None:
    """Let the coder run as others do, where that is allowed: a test waits for it."""
    for pid in coders(server.pid):
        try:
            os.setpriority(os.PRIO_PROCESS, pid, 0)
            Path(f"/proc/{pid}/autogroup").write_text("0")
        except OSError:
            return


def ask_coded(server: Server, target: str) -> bytes | None:
    """Ask for a page on a connection of its own; return it if it came coded, decoded."""
    with server.connect() as peer:
        head = f"GET {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
        peer.sendall(head.encode())
        received, content = receive_head(peer)
        content = receive_content(peer, received, content)
        return gzip.decompress(content) if b"Content-Encoding: gzip" in received else None


def await_coded(server: Server, target: str, times: int = 1) -> None:
    """Ask until a page comes coded so often in a row, and is what stands there."""
    expected = (server.root / target[1:]).read_bytes()
    in_a_row = 0

    def is_coded() -> bool:
        nonlocal in_a_row
        prefer(server)
        content = ask_coded(server, target)
        assert content in {None, expected}
        in_a_row = in_a_row + 1 if content else 0
        return in_a_row >= times

    assert await_true(is_coded), server.stderr


@pytest.mark.parametrize("words", [(), ("--workers", "3")], ids=["alone", "workers"])
def test_a_coder_that_is_killed_is_replaced_and_no_client_notices(
    serve: Serve, pages: Path, words: tuple[str, ...]
) -> None:
    server = serve(pages, "--quiet", *words)
    assert coders(server.pid) == []
    # Each of the workers has it by then, with some certainty.
    await_coded(server, "/page0.html", 12)
    (former,) = coders(server.pid)
    with Load(server.connect, (pages / "page1.html").read_bytes(), target="/page1.html") as load:
        os.kill(former, signal.SIGKILL)
        await_line(server, "the coder was ended by SIGKILL")
        await_coded(server, "/page2.html", 12)
    assert not load.failures
    assert len(coders(server.pid)) == 1
    assert coders(server.pid) != [former]
    assert server.stop() == 0
    assert await_true(lambda: not is_alive(former))


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_a_coder_that_hangs_is_replaced_and_no_client_waits(
    serve: Serve, pages: Path, words: tuple[str, ...]
) -> None:
    server = serve(pages, "--quiet", *words)
    await_coded(server, "/page0.html", 8)
    (former,) = coders(server.pid)
    os.kill(former, signal.SIGSTOP)
    with Load(server.connect, (pages / "page1.html").read_bytes(), target="/page1.html") as load:
        for _ in range(8):
            ask_coded(server, "/page2.html")
        await_line(server, "the coder does not answer for ")
        await_coded(server, "/page2.html", 8)
    assert not load.failures
    assert len(coders(server.pid)) == 1
    assert coders(server.pid) != [former]
    assert server.stderr.count("the coder") == 1
    assert await_true(lambda: not is_alive(former))


def test_a_coder_serves_workers_that_replace_others(serve: Serve, pages: Path) -> None:
    server = serve(pages, "--quiet", "--workers", "2")
    await_coded(server, "/page0.html", 8)
    before = coders(server.pid)
    for worker in children(server.pid):
        os.kill(worker, signal.SIGKILL)
    await_line(server, "serves in its place", 2)
    await_coded(server, "/page0.html", 8)
    await_coded(server, "/page1.html", 8)
    assert coders(server.pid) == before


def test_a_reload_brings_another_coder(serve: Serve, pages: Path) -> None:
    server = serve(pages, "--quiet", "--workers", "2")
    await_coded(server, "/page0.html")
    (former,) = coders(server.pid)
    server.process.send_signal(signal.SIGHUP)
    await_line(server, "new workers serve")
    assert await_true(lambda: not is_alive(former))
    await_coded(server, "/page0.html", 4)
    (later,) = coders(server.pid)
    assert later != former
    assert "coder" not in server.stderr
    assert server.stop() == 0
    assert await_true(lambda: not is_alive(later))


@pytest.mark.parametrize("words", [(), ("--workers", "1")], ids=["alone", "workers"])
def test_signals_for_all_leave_it_to_the_parent(
    serve: Serve, pages: Path, words: tuple[str, ...]
) -> None:
    server = serve(pages, "--quiet", *words)
    await_coded(server, "/page0.html")
    (coder,) = coders(server.pid)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
        os.kill(coder, number)
    await_coded(server, "/page1.html")
    assert coders(server.pid) == [coder]
    # It has no parent to tell it to end.
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    assert await_true(lambda: not is_alive(coder))


def test_in_a_sandbox_without_a_parent_a_thread_codes(serve: Serve, pages: Path) -> None:
    server = serve(pages, "--quiet", "--sandbox", "on")
    await_coded(server, "/page0.html")
    assert coders(server.pid) == []


def test_without_codings_there_is_no_coder(serve: Serve, pages: Path) -> None:
    server = serve(pages, "--quiet", "--workers", "1", "--no-compress")
    for _ in range(4):
        assert ask_coded(server, "/page0.html") is None
    assert coders(server.pid) == []


def test_a_version_that_changes_is_coded_anew(serve: Serve, pages: Path) -> None:
    server = serve(pages, "--quiet", "--workers", "2")
    await_coded(server, "/page0.html", 4)
    for number in range(3):
        (pages / "page0.html").write_text(f"<title>version {number}</title>{TEXT}")
        # `await_coded` holds each answer against what stands there.
        await_coded(server, "/page0.html", 4)


def test_coders_have_no_descriptor_of_a_client(serve: Serve, pages: Path) -> None:
    server = serve(pages, "--quiet", "--workers", "1")
    await_coded(server, "/page0.html")
    (coder,) = coders(server.pid)
    numbers = Path("/proc/net/tcp").read_text()
    listening = set(re.findall(r":[0-9A-F]{4} [0-9A-F:]+ 0A .*? (\d{3,}) ", numbers))
    held = {
        match[1]
        for one in Path(f"/proc/{coder}/fd").iterdir()
        if (match := re.match(r"socket:\[(\d+)\]", os.readlink(one)))
    }
    assert held
    assert not held & listening


def memory_files(pid: int, octets: int) -> set[int]:
    """Return the inodes of the files in memory of this length that a process holds."""
    found = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(one).startswith("/memfd:") and one.stat().st_size == octets:
                found.add(one.stat().st_ino)
        except FileNotFoundError:
            continue
    return found


def test_workers_keep_content_that_is_long_once(serve: Serve, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(os.urandom(150_000))
    server = serve(tmp_path, "--quiet", "--workers", "3")
    for octets in (150_000, 160_000):
        content = picture.read_bytes()

        def is_shared() -> bool:
            for _ in range(12):
                assert server.get("/picture.png") == content  # noqa: B023
            prefer(server)
            held = [memory_files(pid, octets) for pid in children(server.pid)]  # noqa: B023
            return all(held) and len(set.union(*held)) == 1

        assert await_true(is_shared), server.stderr
        # One that dies takes nothing from the others, and its successor has the same.
        os.kill(children(server.pid)[0], signal.SIGKILL)
        await_line(server, "serves in its place", 1 + (octets == 160_000))
        assert await_true(is_shared), server.stderr
        # Another content is another file, at once.
        picture.write_bytes(os.urandom(160_000))
        assert server.get("/picture.png") == picture.read_bytes()
