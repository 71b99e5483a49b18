"""Several sites on one server, told apart by the host."""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from conftest import COMMAND, Serve, Server, receive_content, receive_head, rest

CONFIG = """
cache-control = "none"
{more}
[[site]]
hosts = ["a.example", "*.a.example"]
directory = "{folder}/a"
cache-control = "public, max-age=60"

[[site]]
hosts = "b.example"
directory = "{folder}/b"

[[site]]
hosts = "c.example"
default = {has_default}
directory = "{folder}/c"
"""


def write_sites(folder: Path, *, has_default: bool = True, more: str = "") -> Path:
    for name in "abc":
        (folder / name).mkdir()
        (folder / name / "page.html").write_text(name)
    config = folder / "sites.toml"
    default = str(has_default).lower()
    config.write_text(CONFIG.format(folder=folder, has_default=default, more=more))
    return config


def ask(server: Server, host: str, target: str = "/page.html") -> tuple[int, bytes, bytes]:
    """Return status, head and content."""
    with server.connect() as peer:
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head, content = receive_head(peer)
        return int(head.split()[1]), head, receive_content(peer, head, content)


@pytest.fixture(params=[[], ["--workers", "1"]], ids=["alone", "workers"])
def server(request: pytest.FixtureRequest, serve: Serve, open_folder: Path) -> Server:
    config = write_sites(open_folder)
    return serve_config(serve, config, *request.param)


def serve_config(serve: Serve, config: Path, *arguments: str) -> Server:
    # In the place of a folder stands a port: each site has its own folder.
    return serve(Path("0"), "--config", str(config), *arguments)


def test_each_host_has_its_site(server: Server) -> None:
    for host, content in {
        "a.example": b"a",
        "WWW.a.example:80": b"a",
        "b.example.": b"b",
        "c.example": b"c",
        "elsewhere.example": b"c",
    }.items():
        for _ in range(3):
            assert ask(server, host)[2] == content
    assert b"max-age=60" in ask(server, "a.example")[1]
    assert b"Cache-Control" not in ask(server, "b.example")[1]


def test_changes_of_each_site_are_in_the_next_answer(server: Server, open_folder: Path) -> None:
    with server.connect() as peer:
        for number in range(30):
            for name in "abc":
                (open_folder / name / "page.html").write_text(f"{name}{number}")
                peer.sendall(f"GET /page.html HTTP/1.1\r\nHost: {name}.example\r\n\r\n".encode())
                head, content = receive_head(peer)
                assert receive_content(peer, head, content) == f"{name}{number}".encode()
    (open_folder / "b" / "_headers").write_text("/*\n  X-B: 1\n")
    assert b"X-B: 1" in ask(server, "b.example")[1]
    assert b"X-B: 1" not in ask(server, "a.example")[1]


def test_the_root_of_one_site_is_switched(server: Server, open_folder: Path) -> None:
    (open_folder / "new").mkdir()
    (open_folder / "new" / "page.html").write_text("new")
    assert ask(server, "b.example")[2] == b"b"
    (open_folder / "b").rename(open_folder / "old")
    (open_folder / "new").rename(open_folder / "b")
    # In a sandbox another worker has to start for the new folder.
    end = time.monotonic() + 60
    while ask(server, "b.example")[2] != b"new":
        assert time.monotonic() < end
        rest(0.02)
    assert ask(server, "a.example")[2] == b"a"


def test_a_host_without_a_site_is_refused(serve: Serve, open_folder: Path) -> None:
    server = serve_config(serve, write_sites(open_folder, has_default=False))
    assert ask(server, "c.example")[2] == b"c"
    assert ask(server, "elsewhere.example")[0] == 421
    assert server.exchange(b"GET /page.html HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421 ")


def test_allowed_hosts(serve: Serve, site: Path) -> None:
    server = serve(site, "--allowed-hosts", "local,*.example.org")
    for host in ("localhost", "127.0.0.1:7890", "[::1]", "www.example.org"):
        assert ask(server, host)[0] == 200
    for host in ("rebound.example", "192.0.2.1"):
        assert ask(server, host)[0] == 421


def test_hundreds_of_sites_share_one_descriptor_for_changes(
    serve: Serve, open_folder: Path
) -> None:
    lines = []
    for number in range(200):
        folder = open_folder / f"{number}"
        folder.mkdir()
        (folder / "page.html").write_text(f"{number}")
        lines.append(f'[[site]]\nhosts = "h{number}.example"\ndirectory = "{folder}"\n')
    config = open_folder / "sites.toml"
    config.write_text("\n".join(lines))
    server = serve_config(serve, config)
    for number in range(0, 200, 9):
        assert ask(server, f"h{number}.example")[2] == f"{number}".encode()
        (open_folder / f"{number}" / "page.html").write_text(f"{number}+")
        assert ask(server, f"h{number}.example")[2] == f"{number}+".encode()
    links = []
    for path in Path(f"/proc/{server.pid}/fd").iterdir():
        # A connection may be closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            links.append(path.readlink().name)
    assert sum("inotify" in link for link in links) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[site]]\nhosts = "a"\n', ":1: this site has no directory"),
        ('[[site]]\ndirectory = "."\n', ":1: this site has no hosts; default = true"),
        (
            '[[site]]\nhosts = "a"\ndirectory = "nowhere"\n',
            ":3: directory: there is no folder nowhere",
        ),
        (
            '[[site]]\nhosts = "a"\ndirectory = "."\nport = 5\n',
            ":4: port is the same for all sites",
        ),
        (
            '[[site]]\nhost = "a"\ndirectory = "."\n',
            ":2: host is the same for all sites, and stands before the first [[site]]; or is hosts ",
        ),
        ('[[sites]]\nhosts = "a"\n', ":1: there is no setting sites; is site meant?"),
        (
            '[[site]]\nhosts = "a"\ndirectory = "."\nlistng = "on"\n',
            ":4: there is no setting listng; is",
        ),
        ('[[site]]\nhosts = "a"\ndirectory = "."\nspa = 1\n', ":4: spa must be true or false"),
        (
            '[[site]]\nhosts = "a"\ndirectory = "."\nkeep-size = "x"\n',
            ":4: keep-size: 'x' is not a size",
        ),
        ('[[site]]\nhosts = "a"\ndirectory = "."\ncors = "x"\n', ":4: cors: "),
        ('[[site]]\nhosts = ["a", "A."]\ndirectory = "."\n', ":2: A. is named twice"),
        ('[[site]]\nhosts = "a:1"\ndirectory = "."\n', ":2: 'a:1' is no host"),
        ('[[site]]\nhosts = [1]\ndirectory = "."\n', ":2: hosts must be a list of texts"),
        ("site = 1\n", ":1: each site is a table of its own"),
        ('directory = "."\n[[site]]\nhosts = "a"\ndirectory = "."\n', "a folder of its own"),
        (
            '[[site]]\ndefault = true\ndirectory = "."\n\n[[site]]\ndefault = true\ndirectory = "."\n',
            ":6: another site is the default already",
        ),
    ],
)
def test_mistakes_name_their_place(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "sites.toml"
    config.write_text(text)
    run = subprocess.run(
        [*COMMAND, "--config", str(config), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count("\n") == 1
