"""The settings file as an operator uses it: what is typed goes before what it says."""

import signal
from pathlib import Path

import pytest

from conftest import Serve, Server
from server.test_server_access import write_passwords
from server.workers import await_line, refusal

INDEX = b"<!doctype html><title>index</title>\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "epollo.toml"


def test_a_file_says_what_is_not_typed(
    serve: Serve, site: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.parent)
    config.write_text("directory = 'folder'\nport = 1\nquiet = true\nhost = '127.0.0.2'\n")
    # The harness types a folder, port 0, and this.
    server = serve(site, "--host", "127.0.0.1", "--config", str(config))
    assert server.port != 1
    assert server.get("/") == INDEX
    assert server.stop() == 0
    assert server.process.stdout is None or server.process.stdout.closed


def test_a_folder_in_the_file_is_relative_to_the_current_one(
    site: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site)
    config.write_text("directory = 'folder'\nquiet = true\n")
    server = Server(Path("--recall"), "--config", str(config), directory=tmp_path)
    assert server.get("/") == b"<!doctype html><title>folder</title>\n"
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("colour = 'red'", ":1: there is no setting colour"),
        ("port = 'http'", ":1: port must be a whole number"),
        ("\nport = 65536", ":2: port: 65536 is more than 65535"),
        ("idle-timeout = nan", ":1: idle-timeout: nan is less than 1s"),
        ("idle-timeout = 0", ":1: idle-timeout: 0 is less than 1s"),
        ("idle-timeout = 'long'", ":1: idle-timeout: 'long' is not a duration"),
        ("cache-size = 'much'", ":1: cache-size: 'much' is not a size"),
        ("max-head = '1T'", ":1: max-head: 1T is more than 1M"),
        ("poller = 'kqueue'", ":1: poller: 'kqueue' is not one of"),
        ("workers = 1000", ":1: workers: '1000' is not one of"),
        ("directory = ''", ":1: directory is empty"),
        ("user = ''", ":1: user is empty"),
        ('unix = "a\\u0000b"', ":1: unix contains a NUL"),
        ("port = 1\ndirectory = 'nowhere'", ":2: directory: there is no folder nowhere"),
        ("proxy-from = 'nobody'", ":1: proxy-from: 'nobody' is no address"),
        ("media-type = ['foo']", ":1: media-type: 'foo' is no extension and media type"),
        ("\ndefault-type = 'text'", ":2: default-type: 'text' is no media type"),
        ("cors = 'a.example'", ":1: cors: 'a.example' is no origin"),
        ("user = 'no-such-user'", ":1: user: there is no user no-such-user"),
        ("access-log = 'none/log'", ":1: access-log: cannot write the access log none/log"),
        (
            "cache-control = 'max-age 60'",
            ":1: cache-control: 'max-age 60' is no value of Cache-Control",
        ),
        ('cache-control = "no-cache\\u000AX: y"', "is no value of Cache-Control"),
        ("cache-control = 60", ":1: cache-control must be a text"),
        (f"port = {'[' * 3000}", "is nested too deeply"),
        ("=", "is not TOML"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(config: Path, text: str, reason: str) -> None:
    config.write_text(text)
    assert reason in refusal("--config", str(config))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", b"Cache-Control: no-cache\r\n"),
        ("cache-control = 'auto'", b"Cache-Control: no-cache\r\n"),
        ("cache-control = 'max-age=60, public'", b"Cache-Control: max-age=60, public\r\n"),
        ("cache-control = ' None '", None),
    ],
)
def test_what_browsers_are_told(
    serve: Serve, site: Path, config: Path, text: str, field: bytes | None
) -> None:
    config.write_text(text)
    for words in ([], ["--workers", "1"]):
        server = serve(site, "--quiet", "--config", str(config), *words)
        answer = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        head = answer.partition(b"\r\n\r\n")[0] + b"\r\n"
        assert (field in head) if field is not None else (b"cache-control" not in head.lower())


def test_a_folder_that_is_typed_is_no_mistake_in_the_file(config: Path) -> None:
    config.write_text("directory = 'folder'\n")
    for words in (["nowhere"], ["-d", "nowhere"]):
        line = refusal(*words, "--config", str(config))
        assert line == "epollo: there is no folder nowhere\n"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot read" in refusal("--config", str(tmp_path / "none"))


def test_what_is_typed_goes_before_the_file_at_a_reload_too(
    serve: Serve, site: Path, config: Path
) -> None:
    config.write_text("workers = 1\nport = 1\n")
    server = serve(site, "--quiet", "--workers", "2", "--config", str(config))
    config.write_text("workers = 3\nport = 2\n")
    server.process.send_signal(signal.SIGHUP)
    await_line(server, "2 new workers serve")
    assert server.get("/") == INDEX


def test_a_reload_tells_what_the_first_lines_do_not(
    serve: Serve, site: Path, config: Path, tmp_path: Path
) -> None:
    """Where the site is now, and what others may read; a reload that changes neither tells nothing."""
    config.write_text("host = '127.0.0.1'\n")
    server = serve(site, "--quiet", "--workers", "1", "--config", str(config))
    passwords = write_passwords(tmp_path / "passwords", ann="open")
    protected = f"auth = '{passwords}'\n"
    for number, text in enumerate(
        (
            f"host = '0.0.0.0'\naccess-log = '{site}/log'\n{protected}",
            f"host = '0.0.0.0'\n{protected}",
            f"host = '127.0.0.2'\n{protected}",
        )
    ):
        config.write_text(text)
        server.process.send_signal(signal.SIGHUP)
        await_line(server, "1 new workers serve", number + 1)
    assert server.read_line() == server.lines[0]
    here = server.read_line()
    assert here.startswith("  here:    http://localhost:")
    assert str(server.port) not in here
    lines = list(iter(server.read_line, "  stop it with Ctrl-C\n"))
    assert server.read_line() == server.lines[0]
    assert server.read_line().startswith("  at:      http://127.0.0.2:")
    assert not any("://localhost" in line or "epollo serves" in line for line in lines)
    assert server.stderr.count("passwords cross the network") == 1
    assert f"epollo: the access log {site}/log is in the folder that is served" in server.stderr


def test_media_types_of_the_operator(serve: Serve, site: Path, config: Path) -> None:
    config.write_text(
        "media-type = ['foo=application/x-foo', 'html=application/xhtml+xml']\n"
        "default-type = 'text/plain'\ncharset = 'iso-8859-1'\n"
    )
    (site / "a.foo").write_text("foo")
    (site / "a.txt").write_bytes(b"caf\xe9")
    (site / "README").write_text("read")
    server = serve(site, "--config", str(config))
    for target, media_type in (
        ("/a.foo", "application/x-foo"),
        ("/", "application/xhtml+xml"),
        ("/a.txt", "text/plain; charset=iso-8859-1"),
        ("/README", "text/plain; charset=utf-8"),
    ):
        head = server.exchange(f"HEAD {target} HTTP/1.0\r\n\r\n".encode())
        assert f"\r\nContent-Type: {media_type}\r\n".encode() in head
