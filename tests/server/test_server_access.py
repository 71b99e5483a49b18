"""Passwords, other origins and isolation, as an operator sets them and clients meet them."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import Serve, Server, needs_root, receive_content, receive_head
from epollo.site.access.guesses import AT_ONCE
from linux.confined import ABI
from server.workers import await_line, refusal

INDEX = b"<!doctype html><title>index</title>\n"


def write_passwords(path: Path, **passwords: str) -> Path:
    lines = []
    for user, password in passwords.items():
        digest = hashlib.sha1(password.encode()).digest()
        lines.append(f"{user}:{{SHA}}{base64.b64encode(digest).decode()}\n")
    path.write_text("".join(lines))
    return path


def ask(server: Server, target: str = "/", credentials: str = "", *lines: str) -> tuple[int, bytes]:
    """Return status and head of the answer to a request with credentials and other field lines."""
    if credentials:
        token = base64.b64encode(credentials.encode()).decode()
        lines = (*lines, f"Authorization: Basic {token}")
    fields = "".join(f"{line}\r\n" for line in lines)
    method, _, path = target.rpartition(" ")
    with server.connect() as peer:
        peer.sendall(f"{method or 'GET'} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
        head, content = receive_head(peer)
        if method != "HEAD" and b"\r\nContent-Length:" in head:
            receive_content(peer, head, content)
    return int(head.split()[1]), head


def value_of(head: bytes, name: str) -> str | None:
    values = re.findall(rf"(?i)^{name}: (.*?)\r?$", head.decode(), re.MULTILINE)
    assert len(values) <= 1, head
    return values[0] if values else None


@pytest.mark.parametrize("words", [(), ("--workers", "2"), ("--workers", "1", "--sandbox", "off")])
def test_a_change_of_the_password_file_is_in_the_next_answer(
    serve: Serve, site: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = write_passwords(tmp_path / "passwords", ann="old", bob="open")
    server = serve(site, "--auth", str(path), *words)
    if words == ("--workers", "2") and ABI:
        assert any("only reading below the root" in line for line in server.lines)
    assert ask(server)[0] == 401
    for _ in range(4):
        assert ask(server, "/", "ann:old")[0] == 200
    # In place, which htpasswd does too; by a rename; and gone.
    write_passwords(path, ann="new", bob="open")
    for _ in range(4):
        assert ask(server, "/", "ann:old")[0] == 401
        assert ask(server, "/", "ann:new")[0] == 200
    write_passwords(tmp_path / "next", ann="newer").rename(path)
    for _ in range(4):
        assert ask(server, "/", "ann:new")[0] == 401
        assert ask(server, "/", "bob:open")[0] == 401
        assert ask(server, "/", "ann:newer")[0] == 200
    path.rename(tmp_path / "former")
    for _ in range(4):
        assert ask(server, "/", "ann:newer")[0] == 401
    await_line(server, "every password is refused")
    (tmp_path / "former").rename(path)
    path.write_text(path.read_text() + "nothing\n")
    for _ in range(4):
        assert ask(server, "/", "ann:newer")[0] == 200
    await_line(server, f"{path}:2: this line is not a user, a colon and a hash")
    # However many workers there are, a mistake is told once.
    assert server.stderr.count("every password is refused") == 1
    assert server.stderr.count("is not a user") == 1


@needs_root
def test_a_file_that_its_user_may_not_read_is_followed(
    serve: Serve, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_folder / "site").mkdir()
    (open_folder / "site" / "index.html").write_bytes(INDEX)
    secret = open_folder / "secret"
    secret.mkdir(mode=0o700)
    path = write_passwords(secret / "passwords", ann="old")
    path.chmod(0o600)
    words = ("--auth", str(path), "--workers", "1", "--user", "65534:65534")
    server = serve(open_folder / "site", *words)
    assert ask(server, "/", "ann:old")[0] == 200
    for number in range(3):
        # By a rename, and in place.
        write_passwords(secret / "next", ann=f"new {number}").rename(path)
        assert ask(server, "/", f"ann:new {number}")[0] == 200
        write_passwords(path, ann=f"newer {number}")
        assert ask(server, "/", f"ann:new {number}")[0] == 401
        assert ask(server, "/", f"ann:newer {number}")[0] == 200
    assert server.stderr == ""


@pytest.mark.skipif(shutil.which("htpasswd") is None, reason="htpasswd is missing")
def test_what_htpasswd_does_while_the_site_is_served(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    path = tmp_path / "passwords"

    def run(*words: str) -> None:
        subprocess.run(["htpasswd", *words], check=True, capture_output=True)

    run("-cbB", str(path), "ann", "open")
    server = serve(site, "--auth", str(path), "--workers", "1")
    assert ask(server, "/", "ann:open")[0] == 200
    run("-bB", str(path), "ann", "shut")
    assert ask(server, "/", "ann:open")[0] == 401
    assert ask(server, "/", "ann:shut")[0] == 200
    run("-b5", str(path), "bob", "open")
    assert ask(server, "/", "bob:open")[0] == 200
    run("-D", str(path), "ann")
    assert ask(server, "/", "ann:shut")[0] == 401
    assert ask(server, "/", "bob:open")[0] == 200


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("access") / "site"
    (root / "private").mkdir(parents=True)
    (root / "index.html").write_bytes(INDEX)
    (root / "private" / "a.txt").write_text("private")
    (root / "private" / "app-DRf8L97S.js").write_text("private")
    write_passwords(root / ".htpasswd", ann="open")
    return root


@pytest.fixture(scope="module")
def protected(serve_module: "Serve", shared_site: Path) -> Server:
    """A server with a password file in its folder, that protects a part of it."""
    return serve_module(
        shared_site, "--auth", str(shared_site / ".htpasswd"), "--auth-paths", "/private", "--cors",
        "https://a.example,https://b.example",
    )  # fmt: skip


def test_only_what_is_below_the_paths_is_protected(protected: Server) -> None:
    assert ask(protected)[0] == 200
    assert value_of(ask(protected)[1], "Cache-Control") == "no-cache"
    for target in ("/private", "/private/", "/private/a.txt", "/private/none", "/%70rivate/a.txt"):
        status, head = ask(protected, target)
        assert (status, value_of(head, "WWW-Authenticate")) == (
            401,
            'Basic realm="epollo", charset="UTF-8"',
        )
        assert ask(protected, target, "ann:shut")[0] == 401
    for target, status in (
        ("/private", 301),
        ("/private/", 404),
        ("/private/a.txt", 200),
        ("/private/none", 404),
        ("HEAD /private/a.txt", 200),
        ("POST /private/a.txt", 405),
    ):
        assert ask(protected, target, "ann:open")[0] == status
        assert "private" in (value_of(ask(protected, target, "ann:open")[1], "Cache-Control") or "")


def test_a_rewrite_does_not_lead_around_the_password(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    (site / "private").mkdir()
    (site / "private" / "a.txt").write_text("private")
    path = write_passwords(tmp_path / "passwords", ann="open")
    server = serve(site, "--auth", str(path), "--auth-paths", "/private")
    assert ask(server, "/open")[0] == 404
    (site / "_redirects").write_text("/open /private/a.txt 200\n/never /private/a.txt 404\n")
    for target, status in (("/open", 200), ("/never", 404)):
        assert ask(server, target)[0] == 401
        assert ask(server, target, "ann:shut")[0] == 401
        assert ask(server, target, "ann:open")[0] == status
    (site / "_redirects").write_text("/open /page 200\n")
    assert ask(server, "/open")[0] == 200
    assert ask(server, "/open", "ann:shut")[0] == 200
    assert ask(server, "/never")[0] == 404


def test_an_app_does_not_lead_around_the_password_of_its_page(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    path = write_passwords(tmp_path / "passwords", ann="open")
    server = serve(site, "--auth", str(path), "--auth-paths", "/index.html", "--spa")
    navigation = "Sec-Fetch-Mode: navigate"
    for _ in range(2):
        assert ask(server, "/route", "", navigation)[0] == 401
        assert ask(server, "/route", "ann:shut", navigation)[0] == 401
        status, head = ask(server, "/route", "ann:open", navigation)
        assert (status, value_of(head, "Cache-Control")) == (200, "private, no-cache")
        assert ask(server, "/route", "", "Sec-Fetch-Mode: cors")[0] == 404


def test_an_answer_for_a_user_is_private(protected: Server) -> None:
    _, head = ask(protected, "/private/app-DRf8L97S.js", "ann:open")
    assert value_of(head, "Cache-Control") == "private, max-age=31536000, immutable"
    tag = value_of(head, "ETag")
    status, head = ask(protected, "/private/a.txt", "ann:open", "Range: bytes=0-2")
    assert (status, value_of(head, "Cache-Control")) == (206, "private, no-cache")
    status, head = ask(protected, "/private/app-DRf8L97S.js", "ann:open", f"If-None-Match: {tag}")
    assert (status, value_of(head, "Cache-Control")) == (
        304,
        "private, max-age=31536000, immutable",
    )


def test_the_password_file_is_never_served(protected: Server) -> None:
    for target in ("/.htpasswd", "/%2ehtpasswd", "/private/../.htpasswd"):
        assert ask(protected, target, "ann:open")[0] == 404


def test_an_origin_of_several_is_named_in_every_answer(protected: Server) -> None:
    for target, status in (("/", 200), ("/none", 404), ("/private/a.txt", 401), ("POST /", 405)):
        for _ in range(2):
            for origin in ("https://a.example", "https://b.example"):
                found, head = ask(protected, target, "", f"Origin: {origin}")
                assert found == status
                assert value_of(head, "Access-Control-Allow-Origin") == origin
                assert value_of(head, "Access-Control-Allow-Credentials") == "true"
                assert "Origin" in (value_of(head, "Vary") or "")
            for other in ((), ("Origin: https://c.example",), ("Origin: null",)):
                _, head = ask(protected, target, "", *other)
                assert value_of(head, "Access-Control-Allow-Origin") is None
                assert "Origin" in (value_of(head, "Vary") or "")
    assert value_of(ask(protected)[1], "Vary") == "Accept-Encoding, Origin"


def test_an_origin_that_a_rule_lets_read_gets_no_credentials(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    (site / "_headers").write_text("/page\n  Access-Control-Allow-Origin: https://c.example\n")
    path = write_passwords(tmp_path / "passwords", ann="open")
    server = serve(site, "--auth", str(path), "--cors", "https://a.example")
    for _ in range(2):
        _, head = ask(server, "/page", "ann:open", "Origin: https://c.example")
        assert value_of(head, "Access-Control-Allow-Origin") == "https://c.example"
        assert value_of(head, "Access-Control-Allow-Credentials") is None
        _, head = ask(server, "/", "ann:open", "Origin: https://a.example")
        assert value_of(head, "Access-Control-Allow-Credentials") == "true"


def test_a_preflight_needs_no_password(protected: Server) -> None:
    status, head = ask(
        protected, "OPTIONS /private/a.txt", "", "Origin: https://a.example",
        "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization",
    )  # fmt: skip
    assert status == 204
    assert value_of(head, "Access-Control-Allow-Origin") == "https://a.example"
    assert value_of(head, "Access-Control-Allow-Headers") == "authorization"


def test_any_origin_and_isolation(serve: Serve, site: Path) -> None:
    server = serve(site, "--cors", "any", "--isolate")
    for target in ("/", "/folder", "/none", "OPTIONS /"):
        _, head = ask(server, target)
        assert value_of(head, "Access-Control-Allow-Origin") == "*"
        assert value_of(head, "Cross-Origin-Opener-Policy") == "same-origin"
        assert value_of(head, "Cross-Origin-Embedder-Policy") == "require-corp"
        assert "Origin" not in (value_of(head, "Vary") or "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--auth", "{tmp}/none"), "cannot read the password file {tmp}/none: No such file"),
        (("--auth", "{tmp}"), "cannot read the password file {tmp}: Is a directory"),
        (("--auth", "{tmp}/wrong"), "{tmp}/wrong:1: the hash is MD5-crypt, which is guessed fast"),
        (("--auth", "{site}/users"), "is in the folder that is served; move it elsewhere"),
        (("--auth", "{site}/.users", "--allow-hidden", ".u*"), "is in the folder that is served"),
        (("--auth", "{tmp}/right", "--follow-links", "{tmp}"), "is in the folder that is served"),
        (("--auth", "{tmp}/right", "--auth-paths", "x"), "'x' is no path such as /private"),
        (("--auth", "{tmp}/right", "--sandbox", "on"), "--auth with --sandbox on takes --workers"),
        (("--auth-paths", "/private"), "--auth-paths protects nothing without --auth"),
        (("--allowed-hosts", ","), "',' names no host"),
        (("--cors", "https://a.example/"), "is https://a.example meant?"),
    ],
)
def test_a_mistake_is_one_line(
    site: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    write_passwords(tmp_path / "right", ann="open")
    for name in ("users", ".users"):
        write_passwords(site / name, ann="open")
    (tmp_path / "wrong").write_text("ann:$1$abc$BXBqpb9BZcZhXLgbee.0s/\n")
    places = {"tmp": tmp_path, "site": site}
    line = refusal(str(site), "--port", "0", *(word.format(**places) for word in words))
    assert reason.format(**places) in line


def test_passwords_over_a_network_are_warned_of_once(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    path = write_passwords(tmp_path / "passwords", ann="open")
    server = serve(site, "--auth", str(path), "--host", "0.0.0.0", "--workers", "2")
    assert server.stderr.count("passwords cross the network unencrypted") == 1
    assert "unencrypted" not in serve(site, "--auth", str(path)).stderr
    assert "unencrypted" not in serve(site, "--host", "0.0.0.0").stderr


def test_guesses_and_the_log_go_by_the_client_of_a_proxy(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    path = write_passwords(tmp_path / "passwords", ann="open")
    log = tmp_path / "log"
    words = ("--auth", str(path), "--access-log", str(log), "--access-log-format", "common")
    server = serve(site, *words, "--forwarded", "x-forwarded-for")
    first, second = "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
    for number in range(AT_ONCE):
        assert ask(server, "/", f"ann:{number}", first)[0] == 401
    assert ask(server, "/", "ann:another", first)[0] == 429
    assert ask(server, "/", "ann:another", second, "Forwarded: for=192.0.2.9")[0] == 401
    assert server.stop() == 0
    peers = [line.split()[0] for line in log.read_text().splitlines()]
    assert peers == ["192.0.2.1"] * (AT_ONCE + 1) + ["192.0.2.2"]
    # Neither a proxy that is not named nor a header that is not asked for is believed.
    for more in (("--forwarded", "x-forwarded-for", "--proxy-from", "10.0.0.1"), ()):
        log.unlink()
        server = serve(site, *words, *more)
        ask(server, "/", "", first)
        assert server.stop() == 0
        assert log.read_text().startswith("127.0.0.1 ")


def test_pages_of_the_site_for_passwords(serve: Serve, site: Path, tmp_path: Path) -> None:
    """What asks for a password shows the site's page of it, as it is now, and is private all the same."""
    path = write_passwords(tmp_path / "passwords", ann="open")
    (site / "private").mkdir()
    (site / "private" / "a.txt").write_text("private")
    server = serve(site, "--auth", str(path), "--auth-paths", "/private")
    plain = server.exchange(b"GET /private/a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    (site / "_headers").write_text("/*\n  X-Frame-Options: DENY\n  Cache-Control: max-age=600\n")
    for content in ("first", "second"):
        (site / "401.html").write_text(content)
        for credentials in ("", "ann:wrong", "ann:wrong"):
            status, head = ask(server, "/private/a.txt", credentials)
            assert status == 401
            assert value_of(head, "content-length") == str(len(content))
            assert value_of(head, "www-authenticate") == value_of(plain, "www-authenticate")
            assert value_of(head, "cache-control") == "private, no-cache"
            assert value_of(head, "x-frame-options") == "DENY"
    (site / "429.html").write_text("too many guesses")
    for number in range(AT_ONCE + 1):
        status, head = ask(server, "/private/a.txt", f"ann:guess{number}")
    assert (status, value_of(head, "content-length")) == (429, "16")
    assert int(value_of(head, "retry-after") or "") > 0
    assert ask(server, "/private/a.txt", "ann:open")[0] in {200, 429}


def list_share(server: Server, credentials: str = "", target: str = "/") -> set[str]:
    """Return what a listing shows, which is public unless it is for a user."""
    lines = ["Accept: application/json"]
    if credentials:
        token = base64.b64encode(credentials.encode()).decode()
        lines.append(f"Authorization: Basic {token}")
    with server.connect() as peer:
        head = "".join(f"{line}\r\n" for line in lines)
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode())
        head_octets, content = receive_head(peer)
        described = json.loads(receive_content(peer, head_octets, content))
    names = {entry["name"] for entry in described["entries"]}
    assert described["folders"] + described["files"] == len(names)
    is_private = value_of(head_octets, "cache-control") == "private, no-cache"
    assert is_private is (credentials in {"ann:open", "ann:new"})
    return names


def test_a_listing_shows_what_is_protected_to_users_alone(
    serve: Serve, open_folder: Path, tmp_path: Path
) -> None:
    path = write_passwords(tmp_path / "passwords", ann="open")
    share = open_folder / "share"
    for name in (
        "private/a.txt",
        "Private.html",
        "private.html.gz",
        "b.txt",
        "sub/draft/c",
        "sub/d",
    ):
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_text("x" * len(name))
    server = serve(share, "--auth", str(path), "--auth-paths", "/private,/sub/draft")
    every = {"private", "Private.html", "private.html.gz", "b.txt", "sub"}
    for _ in range(3):
        assert list_share(server) == {"b.txt", "sub"}
        assert list_share(server, "ann:open") == every
        assert list_share(server, "ann:wrong") == {"b.txt", "sub"}
        assert list_share(server, target="/sub/") == {"d"}
        assert list_share(server, "ann:open", "/sub/") == {"d", "draft"}
        assert list_share(server, "ann:open", "/private/") == {"a.txt"}
    assert ask(server, "/private/")[0] == 401
    assert list_share(server, target="/?q=private") == set()
    assert list_share(server, "ann:open", "/?q=private&sort=size") == every - {"b.txt", "sub"}
    (share / "private2").touch()
    (share / "private.br").touch()
    write_passwords(path, ann="new")
    assert list_share(server, "ann:open2") == {"b.txt", "sub", "private2"}
    assert list_share(server, "ann:new") == every | {"private2", "private.br"}


def test_guesses_at_a_listing_show_nothing_and_are_no_error(
    serve: Serve, open_folder: Path, tmp_path: Path
) -> None:
    path = write_passwords(tmp_path / "passwords", ann="open")
    (open_folder / "share" / "private").mkdir(parents=True)
    (open_folder / "share" / "b.txt").touch()
    server = serve(open_folder / "share", "--auth", str(path), "--auth-paths", "/private")
    for number in range(AT_ONCE + 3):
        assert list_share(server, f"ann:guess{number}") == {"b.txt"}
    assert ask(server, "/b.txt", "ann:guess")[0] == 200
    assert ask(server, "/private/", "ann:guess")[0] == 429
