"""Listings over the wire: true at the next request, over each poller, alone and with workers."""

import json
from pathlib import Path

import pytest

from conftest import POLLER_NAMES, Serve, receive_content, receive_head

GET = b"GET /folder/?format=json HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "arguments", [*(("--poller", name) for name in POLLER_NAMES), ("--workers", "1")]
)
def test_what_a_client_wrote_is_in_its_next_listing(
    serve: Serve, open_folder: Path, arguments: tuple[str, ...]
) -> None:
    folder = open_folder / "share" / "folder"
    (folder / "sub").mkdir(parents=True)
    file = folder / "file"
    file.touch()
    server = serve(open_folder / "share", "--quiet", *arguments)
    with server.connect() as peer:
        for number in range(1, 40):
            if number % 3:
                with file.open("ab") as opened:
                    opened.write(b"x" * number)
            else:
                (folder / f"new{number}").touch()
            peer.sendall(GET)
            head, content = receive_head(peer)
            described = json.loads(receive_content(peer, head, content))
            sizes = {one["name"]: one["size"] for one in described["entries"]}
            assert sizes["file"] == file.stat().st_size
            assert len(sizes) == 2 + number // 3


def test_a_folder_that_takes_more_than_a_turn(serve: Serve, tmp_path: Path) -> None:
    """Requests that are pipelined behind it are answered after it, and in their order."""
    large = tmp_path / "large"
    large.mkdir()
    for number in range(6000):
        (large / f"{number}").touch()
    (tmp_path / "small.txt").write_text("small")
    server = serve(tmp_path, "--quiet")
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    for accept, count in ((browser, 5000), ("*/*", 6000), (f"*/*;q=0.1, {browser}", 5000)):
        asked = f"GET /large/ HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        assert server.exchange(asked.encode()).count(b"<data") == count, accept
    small = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as peer:
        request = b"GET /large/?format=json&page=%d HTTP/1.1\r\nHost: a\r\n\r\n"
        peer.sendall(small + request % 1 + small + request % 2 + small)
        rest = b""
        answers = []
        for _ in range(5):
            while b"\r\n\r\n" not in rest:
                rest += peer.recv(65536)
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(rest) < length:
                rest += peer.recv(65536)
            answers.append(rest[:length])
            rest = rest[length:]
    assert answers[0] == answers[2] == answers[4] == b"small"
    names = [one["name"] for page in (1, 3) for one in json.loads(answers[page])["entries"]]
    assert names == [str(number) for number in range(6000)]
