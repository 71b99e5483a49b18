"""Files that are in a coding themselves: sent with it where a rule says so and the content agrees."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest

from epollo.site.encoded_files import begins_in
from epollo.site.zstd import ZstdCompressor
from site_grounds import Ground, replace

CONTENT = b"content " * 1000
_ZSTD = ZstdCompressor()
CODED = {
    b"br": brotli.compress(CONTENT),
    # The time of a gzip header would make its first octets those of any coding by chance.
    b"gzip": gzip.compress(CONTENT, mtime=0),
    b"zstd": _ZSTD.compress(CONTENT) + _ZSTD.flush(),
}
RULES = """
/Build/*.br
  Content-Encoding: br
/Build/*.gz
  Content-Encoding: gzip
/other
  Content-Encoding: zstd
"""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    (tmp_path / "Build").mkdir()
    (tmp_path / "_headers").write_text(RULES)
    for name, coding in (("x.wasm.br", b"br"), ("x.js.gz", b"gzip"), ("x.data.br", b"br")):
        (tmp_path / "Build" / name).write_bytes(CODED[coding])
    (tmp_path / "other").write_bytes(CODED[b"zstd"])
    (tmp_path / "site.tar.gz").write_bytes(CODED[b"gzip"])
    (tmp_path / "Build" / "plain.gz").write_bytes(CONTENT)
    with Ground(tmp_path, kept_octets_limit=1024) as ground:
        yield ground


@pytest.mark.parametrize(
    ("target", "coding", "media_type"),
    [
        ("/Build/x.wasm.br", "br", "application/wasm"),
        ("/Build/x.js.gz", "gzip", "text/javascript; charset=utf-8"),
        ("/Build/x.data.br", "br", "application/octet-stream"),
        ("/other", "zstd", "application/octet-stream"),
    ],
)
def test_a_file_is_sent_in_the_coding_that_it_is_in(
    ground: Ground, target: str, coding: str, media_type: str
) -> None:
    for fields in ({}, {"Accept-Encoding": coding}, {"Accept-Encoding": "identity"}):
        answer = ground.ask(target, fields)
        assert answer.content == CODED[coding.encode()]
        assert answer.fields["content-encoding"] == coding
        assert answer.fields["content-type"] == media_type
    part = ground.ask(target, {"Range": "bytes=0-3"})
    assert (part.status, part.content) == (206, CODED[coding.encode()][:4])
    assert part.fields["content-encoding"] == coding
    tag = answer.fields["etag"]
    assert ground.ask(target, {"If-None-Match": tag}).status == 304


def test_a_download_stays_what_it_is(ground: Ground) -> None:
    answer = ground.ask("/site.tar.gz")
    assert "content-encoding" not in answer.fields
    assert answer.content == CODED[b"gzip"]


def test_a_rule_is_not_believed_where_the_content_says_otherwise(ground: Ground) -> None:
    assert "content-encoding" not in ground.ask("/Build/plain.gz").fields
    replace(ground.root / "Build" / "plain.gz", CODED[b"gzip"])
    assert ground.ask("/Build/plain.gz").fields["content-encoding"] == "gzip"
    replace(ground.root / "Build" / "plain.gz", b"x" * 5000)
    assert "content-encoding" not in ground.ask("/Build/plain.gz").fields


def test_files_that_are_not_kept_are_looked_at_too(ground: Ground) -> None:
    large = brotli.compress(b"".join(b"%d" % n for n in range(20_000)), quality=1)
    assert len(large) > 1024
    replace(ground.root / "Build" / "x.data.br", large)
    answer = ground.ask("/Build/x.data.br")
    assert (answer.fields["content-encoding"], answer.content) == ("br", large)
    replace(ground.root / "Build" / "x.data.br", b"plain" * 1000)
    assert "content-encoding" not in ground.ask("/Build/x.data.br").fields


def test_another_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_headers").write_text("/*\n  Content-Encoding: deflate\n  X-A: b\n")
    with Ground(tmp_path) as ground:
        assert "br, gzip, zstd" in ground.reports[0]


@pytest.mark.parametrize("coding", CODED)
def test_the_begin_of_a_content_tells_its_coding(coding: bytes) -> None:
    for other, coded in CODED.items():
        assert begins_in(coding, coded) is (coding == other)
        assert begins_in(coding, coded[:20]) is (coding == other)
    assert not begins_in(coding, b"")
    assert not begins_in(coding, CONTENT)
