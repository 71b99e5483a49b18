"""Media types, charsets and own codings, as answers show them."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.inspection import inspect
from epollo.site.media_types import MediaType
from site_grounds import Ground, PromptCompressor

PACKETS = b"".join(b"\x47\x40\x00\x10" + bytes(184) for _ in range(10))
STAMPED = b"".join(bytes(4) + b"\x47\x40\x00\x10" + bytes(184) for _ in range(10))
SCRIPT = b"const a: number = 1;\n" * 100
# TypeScript with a G wherever a packet would begin.
GS = (b"G" + b"x" * 187) * 10
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n' * 20


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codings are made when they are looked for first."""
    monkeypatch.setattr("epollo.site.demand._ASKED_MINIMUM", 1)


@pytest.fixture(params=[0, 1024 * 1024], ids=["not kept", "kept"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    root = tmp_path / "root"
    root.mkdir()
    with Ground(root, kept_octets_limit=request.param, compressor=PromptCompressor()) as ground:
        yield ground


def type_of(ground: Ground, name: str, content: bytes) -> str:
    """Return the media type of a file, once it was looked at as a whole."""
    (ground.root / name).write_bytes(content)
    ground.ask(f"/{name}", {"Accept-Encoding": "gzip"})
    return ground.ask(f"/{name}").fields["content-type"]


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.ts", SCRIPT, "text/typescript; charset=utf-8"),
        ("a.ts", GS, "text/typescript; charset=utf-8"),
        ("a.ts", "// \N{SNOWMAN}\n".encode() * 300, "text/typescript; charset=utf-8"),
        ("a.ts", PACKETS, "video/mp2t"),
        ("a.TS", PACKETS[: 188 * 2], "video/mp2t"),
        ("a.mts", SCRIPT, "text/typescript; charset=utf-8"),
        ("a.mts", STAMPED, "video/mp2t"),
        ("a.cts", SCRIPT, "text/typescript; charset=utf-8"),
        ("a.m2ts", STAMPED, "video/mp2t"),
        ("a.d.ts", SCRIPT, "text/typescript; charset=utf-8"),
        ("a.jsx", SCRIPT, "text/jsx; charset=utf-8"),
        ("a.tsx", SCRIPT, "text/tsx; charset=utf-8"),
        ("a.html", b"<meta charset=euc-kr>" + "안녕".encode("euc-kr") * 200, "text/html"),
        ("a.html", b"<meta charset=utf-8>" + "안녕".encode() * 200, "text/html; charset=utf-8"),
        ("a.txt", "caf\xe9 ".encode("latin-1") * 200, "text/plain"),
        ("a.txt", "caf\xe9 ".encode() * 200, "text/plain; charset=utf-8"),
        ("a.js", "'caf\xe9';".encode("latin-1") * 200, "text/javascript"),
        ("a.xml", b'<?xml version="1.0" encoding="latin1"?><a/>' + b"\n" * 300, "text/xml"),
        ("a.css", b'@charset "latin1";' + b"a{}" * 300, "text/css"),
        ("a.csv", b"h\0e\0" * 300, "text/csv"),
        ("a.json", '"caf\xe9"'.encode("latin-1") * 200, "application/json"),
    ],
)  # fmt: skip
def test_type_by_content(ground: Ground, name: str, content: bytes, media_type: str) -> None:
    assert type_of(ground, name, content) == media_type


def test_the_type_follows_the_content(ground: Ground) -> None:
    for content, media_type in (
        (b"caf\xe9 " * 100, "text/plain"),
        ("caf\xe9 ".encode() * 100, "text/plain; charset=utf-8"),
        (b"caf\xe9 " * 100, "text/plain"),
    ):
        assert type_of(ground, "a.txt", content) == media_type
        for fields in ({"Accept-Encoding": "br"}, {"Range": "bytes=0-9"}):
            assert ground.ask("/a.txt", fields).fields["content-type"] == media_type


def test_a_part_of_several_has_the_type_of_the_whole(ground: Ground) -> None:
    type_of(ground, "a.txt", b"caf\xe9 " * 100)
    content = ground.ask("/a.txt", {"Range": "bytes=0-1,5-6"}).content.lower()
    assert content.count(b"content-type: text/plain\r\n") == 2


def test_the_page_for_404_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "404.html").write_bytes(b"<meta charset=latin1>caf\xe9")
    with Ground(tmp_path) as ground:
        assert ground.ask("/nothing").fields["content-type"] == "text/html"


@pytest.mark.parametrize("name", ["a.svgz", "a.svg"])
def test_svg_that_is_compressed(ground: Ground, name: str) -> None:
    content = gzip.compress(SVG)
    for accepted in ({}, {"Accept-Encoding": "gzip, br"}, {"Accept-Encoding": "identity"}):
        (ground.root / name).write_bytes(content)
        answer = ground.ask(f"/{name}", accepted)
        assert (answer.status, answer.content) == (200, content)
        assert answer.fields["content-type"] == "image/svg+xml"
        assert answer.fields["content-encoding"] == "gzip"
        again = ground.ask(f"/{name}", accepted | {"If-None-Match": answer.fields["etag"]})
        assert again.status == 304
        part = ground.ask(f"/{name}", accepted | {"Range": "bytes=3-9"})
        assert (part.status, part.content) == (206, content[3:10])
        assert part.fields["content-encoding"] == "gzip"
        assert part.fields["etag"] == answer.fields["etag"]
        head = ground.ask(f"/{name}", accepted, method="HEAD")
        assert head.fields == answer.fields


def test_svgz_that_is_not_compressed_gets_codings(ground: Ground) -> None:
    (ground.root / "a.svgz").write_bytes(SVG)
    plain = ground.ask("/a.svgz")
    assert (plain.content, plain.fields["content-type"]) == (SVG, "image/svg+xml")
    assert "content-encoding" not in plain.fields
    coded = ground.ask("/a.svgz", {"Accept-Encoding": "gzip"})
    assert coded.fields["content-encoding"] == "gzip"
    assert gzip.decompress(coded.content) == SVG


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        (b"caf\xe9", b"; charset=iso-8859-1"),
        ("café".encode(), b"; charset=utf-8"),
        (b"ascii", b"; charset=utf-8"),
        (b"<meta charset=windows-1252>caf\xe9", b""),
        (b"\xff\0binary", b""),
    ],
)
def test_text_that_is_no_utf_8_has_the_charset_of_its_operator(
    content: bytes, charset: bytes
) -> None:
    media_type = MediaType(
        b"text/html; charset=utf-8", is_compressible=True, charset=b"; charset=iso-8859-1"
    )
    assert inspect(media_type, content, content).media_type.value == b"text/html" + charset


def test_text_that_was_not_read_has_no_charset() -> None:
    media_type = MediaType(
        b"text/plain; charset=utf-8", is_compressible=True, charset=b"; charset=iso-8859-1"
    )
    assert inspect(media_type, b"caf\xe9", None).media_type.value == b"text/plain"
