"""Rule files under a real server: edits under load, workers, the sandbox, and relevance."""

import re
import socket
import threading
from pathlib import Path

import pytest

from conftest import Serve, receive_content, receive_head
from server.workers import await_line, refusal
from site_grounds import replace


def ask(peer: socket.socket, target: str, *lines: str) -> bytes:
    """Return the head of an answer on a connection that persists."""
    fields = "".join(f"{line}\r\n" for line in lines)
    peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    head, content = receive_head(peer)
    receive_content(peer, head, content)
    return head


def version_of(head: bytes) -> int:
    """Return the version of the rules by which an answer was made, which it tells twice."""
    location = re.search(rb"\r\nLocation: /v(\d+)\r\n", head + b"\r\n")
    field = re.search(rb"\r\nX-Version: (\d+)\r\n", head + b"\r\n")
    found = location or field
    assert found is not None, head
    return int(found[1])


@pytest.mark.parametrize(("others", "edits"), [(0, 100), (2000, 6)])
def test_each_answer_is_of_the_old_or_of_the_new_rules(
    serve: Serve, site: Path, others: int, edits: int
) -> None:
    """An edit that is complete before a request is sent is in its answer, whatever others ask.

    So is one of thousands of rules, which are read in slices.
    """

    def edit(version: int) -> None:
        blocks = [f"/{version}/{other}\n  X-A: b\n" for other in range(others)]
        lines = [f"/{version}/{other} /\n" for other in range(others)]
        rules = f"{''.join(blocks)}/page.html\n  X-Version: {version}\n"
        replace(site / "_headers", rules.encode())
        replace(site / "_redirects", f"{''.join(lines)}/old /v{version}\n".encode())

    edit(0)
    server = serve(site, "--quiet")
    is_over = threading.Event()
    faults: list[BaseException] = []

    def keep_asking(target: str) -> None:
        latest = 0
        try:
            with server.connect() as peer:
                while not is_over.is_set():
                    version = version_of(ask(peer, target))
                    assert version >= latest, "rules that were replaced came back"
                    latest = version
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=keep_asking, args=(one,)) for one in ("/old", "/page.html")]
    for thread in threads:
        thread.start()
    try:
        with server.connect() as peer:
            for version in range(1, edits + 1):
                edit(version)
                assert version_of(ask(peer, "/old")) == version
                assert version_of(ask(peer, "/page.html")) == version
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not faults
    assert server.stderr == ""


@pytest.mark.parametrize("sandbox", ["off", "auto"])
def test_workers_tell_a_mistake_once_and_have_the_same_rules(
    serve: Serve, site: Path, sandbox: str
) -> None:
    (site / "_redirects").write_text("/old /new\nnonsense\n")
    server = serve(site, "--quiet", "--workers", "2", "--sandbox", sandbox)
    for _ in range(8):
        with server.connect() as peer:
            assert b"\r\nLocation: /new\r\n" in ask(peer, "/old")
    replace(site / "_redirects", b"/old /newer\n")
    for _ in range(8):
        with server.connect() as peer:
            assert b"\r\nLocation: /newer\r\n" in ask(peer, "/old")
    replace(site / "_redirects", b"/old /newest\nmore nonsense\n")
    await_line(server, "former rules stay")
    assert server.stderr.count("_redirects:2: ") == 2
    for _ in range(8):
        with server.connect() as peer:
            assert b"\r\nLocation: /newer\r\n" in ask(peer, "/old")


def test_an_app_is_recalled_by_what_decides(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--spa")
    with server.connect() as peer:
        for _ in range(3):
            navigation = ask(peer, "/deep/link", "Sec-Fetch-Mode: navigate", "Accept: text/html")
            assert navigation.startswith(b"HTTP/1.1 200 ")
            script = ask(peer, "/deep/link", "Sec-Fetch-Mode: no-cors", "Accept: */*")
            assert script.startswith(b"HTTP/1.1 404 ")
            assert b"\r\nCache-Control: no-store" in script
            assert ask(peer, "/deep/link", "Accept: text/html").startswith(b"HTTP/1.1 200 ")
            assert ask(peer, "/deep/link").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("sandbox", ["off", "auto"])
def test_workers_may_read_the_folders_that_links_lead_into(
    serve: Serve, site: Path, tmp_path: Path, sandbox: str
) -> None:
    for name in ("store", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        (site / name).symlink_to(tmp_path / name)
    (site / ".zgroup").write_text("zarr")
    server = serve(
        site, "--quiet", "--workers", "1", "--sandbox", sandbox,
        "--follow-links", f"{tmp_path / 'store'}", "--allow-hidden", ".zgroup",
    )  # fmt: skip
    assert server.get("/store/file") == b"store"
    assert server.get("/.zgroup") == b"zarr"
    with server.connect() as peer:
        assert ask(peer, "/private/file").startswith(b"HTTP/1.1 404 ")
        assert ask(peer, "/.git").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--follow-links", "/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("--allow-hidden", "zgroup", "'zgroup' is no pattern of a name that begins with a dot"),
    ],
)
def test_an_operator_s_mistake_is_one_line(
    site: Path, option: str, value: str, reason: str
) -> None:
    assert reason in refusal(str(site), "--port", "0", option, value)
