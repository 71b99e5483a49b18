"""``epollo why``: what makes an answer, as text and as JSON, the same as what a server sends."""

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import copies
from conftest import COMMAND, Serve, receive_content, receive_head
from epollo.diagnosis.subject import Subject
from epollo.diagnosis.why import explain, format_json, format_text, parse_question
from epollo.errors import OperatorError
from epollo.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "blog").mkdir(parents=True)
    (root / "assets").mkdir()
    (root / "index.html").write_text("<p>index</p>" * 100)
    (root / "about.html").write_text("<p>about</p>" * 100)
    (root / "404.html").write_text("<p>lost</p>")
    (root / "assets" / "app-DRf8L97S.js").write_text("let a = 1;\n" * 100)
    (root / "_headers").write_text("/*\n  X-Frame-Options: DENY\n\n/about*\n  X-A: b\n")
    (root / "_redirects").write_text(
        "/old /about 302\n/about /other\n/app/* /index.html 200\nhttps://a.example/x /y\n"
    )
    for path in root.rglob("*.*"):
        # Long ago: within the second of a write Last-Modified is that of the second before.
        os.utime(path, (784_111_777, 784_111_777))
    return root


def why(root: Path, text: str, *lines: str, **settings: Any) -> dict[str, Any]:
    with closing(Subject(Settings(root=root, **settings))) as subject:
        explanation = explain(subject, parse_question(text, lines))
        assert not subject.reports
        format_text(explanation)
        found = json.loads(format_json(explanation))
        assert isinstance(found, dict)
        return found


def test_what_is_looked_for_twice_is_said_once(root: Path) -> None:
    (root / "index.html").unlink()
    assert why(root, "/")["lookups"] == [{"path": "/index.html", "kind": "nothing"}]


def test_a_file_by_its_clean_url(root: Path) -> None:
    found = why(root, "/about")
    assert (found["status"], found["file"]) == (200, "/about.html")
    assert found["coding"] == min(found["bytes"], key=lambda name: found["bytes"][name])
    # Another coding is made when a client comes that does not take this one.
    assert set(found["bytes"]) == {"identity", "zstd"}
    assert found["lookups"] == [
        {"path": "/about", "kind": "nothing"}, {"path": "/about.html", "kind": "a file"},
    ]  # fmt: skip
    assert found["redirect"] == {
        "place": "_redirects:2", "text": "/about /other", "used": False,
    }  # fmt: skip
    assert [one["place"] for one in found["headers_by"]] == ["_headers:1", "_headers:4"]
    assert ["X-A", "b"] in found["headers"]
    assert found["cache"].startswith("no-cache: ")
    assert found["recalled"] is True


@pytest.mark.parametrize(
    ("text", "status", "file", "rule", "is_used"),
    [
        ("/old", 302, None, "_redirects:1", True),
        ("old?a=b", 302, None, "_redirects:1", True),
        ("/app/deep", 200, "/index.html", "_redirects:3", True),
        ("https://a.example/x", 301, None, "_redirects:4", True),
        ("http://b.example/x", 404, "/404.html", None, None),
        ("/", 200, "/index.html", None, None),
        ("/blog", 301, None, None, None),
        ("/%2e%2e/x", 400, None, None, None),
        ("/sp ace", 404, "/404.html", None, None),
    ],
)
def test_what_makes_an_answer(
    root: Path, text: str, status: int, file: str | None, rule: str | None, is_used: bool | None
) -> None:
    found = why(root, text)
    assert (found["status"], found["file"]) == (status, file)
    redirect = found["redirect"]
    assert (redirect and redirect["place"], redirect and redirect["used"]) == (rule, is_used)


def test_a_part_is_of_a_file_too(root: Path) -> None:
    found = why(root, "/about", "Range: bytes=0-3", "Accept-Encoding: identity")
    assert (found["status"], found["file"]) == (206, "/about.html")
    found = why(root, "/about", "If-None-Match: *")
    assert (found["status"], found["file"]) == (304, "/about.html")


def test_host_is_another_header_of_the_request(root: Path) -> None:
    found = why(root, "/x", "host: a.example")
    assert (found["status"], found["url"]) == (301, "http://a.example/x")
    with pytest.raises(OperatorError, match="is no host"):
        parse_question("/x", ("Host: a b",))


def test_headers_of_the_request_count(root: Path) -> None:
    assert why(root, "/about", "accept-encoding: br")["coding"] == "br"
    assert why(root, "/about", "Accept-Encoding: identity")["coding"] == "identity"
    assert why(root, "/deep", spa=True)["file"] == "/index.html"
    assert why(root, "/deep", "Sec-Fetch-Mode: no-cors", spa=True)["status"] == 404
    assert "fingerprint" in why(root, "/assets/app-DRf8L97S.js")["cache"]


@pytest.mark.parametrize(
    "text", ["ftp://a/", "http://a b/", "http://[/", "https://[::1/", "http:///x"]
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(OperatorError, match="neither a path nor a URL"):
        parse_question(text, ())


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://localhost/"),
        ("about", "http://localhost/about"),
        ("//about", "http://localhost/about"),
        ("/go?u=http://a.example/b", "http://localhost/go?u=http://a.example/b"),
        ("/a?b?c=d e#f?g", "http://localhost/a?b?c=d%20e"),
        ("HTTPS://a.example?b", "https://a.example/?b"),
        ("http://a.example:80//b", "http://a.example:80//b"),
        (os.fsdecode(b"/\xff\n\xc3\xa9"), "http://localhost/%FF%0A%C3%A9"),
    ],
)
def test_what_is_typed_is_a_url(root: Path, text: str, url: str) -> None:
    assert why(root, text)["url"] == url


@pytest.mark.parametrize(
    "line", ["a", ": a", "a b: c", "a: b\nc: d", "a: \0", "\xe9: a", "\udcff: a"]
)
def test_what_is_no_header(line: str) -> None:
    with pytest.raises(OperatorError, match="is no header: one is 'Name: value'"):
        parse_question("/", (line,))


def test_a_header_may_have_any_octets() -> None:
    assert parse_question("/", ("X-A:\udcff \xe9 ",)).fields[b"X-A"] == b"\xff \xc3\xa9"


def test_it_is_what_a_server_sends(serve: Serve, root: Path) -> None:
    server = serve(root, "--quiet")
    with server.connect() as peer:
        for path in ("/about", "/old", "/app/deep", "/nothing", "/blog", "/assets/app-DRf8L97S.js"):
            found = why(root, path, "Accept-Encoding: identity")
            peer.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: navigate\r\n\r\n".encode()
            )
            head, content = receive_head(peer)
            receive_content(peer, head, content)
            lines = head.decode().split("\r\n")
            assert lines[0].split()[1] == str(found["status"])
            sent = [line for line in lines[1:] if not line.startswith(("Server:", "Date:"))]
            assert sent == [f"{name}: {value}" for name, value in found["headers"]]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return copies.run([*COMMAND, *words])


def test_the_command(root: Path) -> None:
    found = run("why", "/about", "-d", str(root))
    assert (found.returncode, found.stderr) == (0, "")
    assert "answer      200 OK" in found.stdout
    assert "_headers:4: /about*" in found.stdout
    found = run("why", "/nothing", str(root), "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["status"] == 404
    for words in (("why",), ("why", "/x", "-d", "/nowhere"), ("why", "ftp://x/", "-d", str(root))):
        found = run(*words)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr.count("\n") == 1
