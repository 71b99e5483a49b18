"""From requests to responses, by the table of RFC 9110."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.http.message import Request, Response
from epollo.http.target import parse_target
from epollo.protocols.answer import JOINED_OCTETS
from site_grounds import START_SECOND, Ground, replace

CONTENT = bytes(range(256)) * 4
PAGE = b"<!doctype html><title>page</title>\n"
DATE = "Thu, 01 Jan 1970 00:16:40 GMT"
EARLIER = "Thu, 01 Jan 1970 00:16:39 GMT"
LATER = "Thu, 01 Jan 1970 00:16:41 GMT"


@pytest.fixture(params=[0, 1024 * 1024], ids=["not kept", "kept"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "page.html").write_bytes(PAGE)
    (root / "data.bin").write_bytes(CONTENT)
    (root / "empty.txt").write_bytes(b"")
    (root / "folder" / "index.html").write_bytes(PAGE)
    for path in (root / "page.html", root / "data.bin", root / "empty.txt"):
        os.utime(path, (1000, 1000))
    with Ground(root, kept_octets_limit=request.param) as ground:
        yield ground


def tag_of(ground: Ground, target: str = "/data.bin") -> str:
    return ground.ask(target).fields["etag"]


def test_get_and_head(ground: Ground) -> None:
    get = ground.ask("/data.bin")
    head = ground.ask("/data.bin", method="HEAD")
    assert (get.status, get.content) == (200, CONTENT)
    assert (head.status, head.content) == (200, b"")
    assert head.fields == get.fields
    assert get.fields["last-modified"] == DATE
    assert get.fields["accept-ranges"] == "bytes"
    assert get.fields["content-type"] == "application/octet-stream"
    assert re.fullmatch(r'"[!#-~]+"', get.fields["etag"])


def test_empty_file(ground: Ground) -> None:
    for method in ("GET", "HEAD"):
        answer = ground.ask("/empty.txt", method=method)
        assert (answer.status, answer.content) == (200, b"")
        assert answer.fields["content-length"] == "0"
    whole = ground.ask("/empty.txt")
    for value in ("bytes=0-", "bytes=-5", "bytes=-0", "bytes=0-0,-1"):
        for fields in ({}, {"If-Range": whole.fields["etag"]}):
            answer = ground.ask("/empty.txt", {"Range": value, **fields})
            assert (answer.status, answer.content, answer.fields) == (200, b"", whole.fields)


def test_vary_on_what_can_be_compressed_only(ground: Ground) -> None:
    for fields in ({}, {"If-None-Match": "*"}, {"Range": "bytes=0-1"}):
        assert ground.ask("/page.html", fields).fields["vary"] == "Accept-Encoding"
        assert "vary" not in ground.ask("/data.bin", fields).fields


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-None-Match": "TAG"}, 304),
        ({"If-None-Match": "W/TAG"}, 304),
        ({"If-None-Match": '"a,b", W/"c" , TAG'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"another"'}, 200),
        ({"If-None-Match": '"another"', "If-Modified-Since": LATER}, 200),
        ({"If-Modified-Since": DATE}, 304),
        # A file that was rolled back has an earlier date, and another content.
        ({"If-Modified-Since": LATER}, 200),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "Thu Jan  1 00:16:40 1970"}, 304),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": "TAG"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "W/TAG"}, 412),
        ({"If-Match": '"another"'}, 412),
        ({"If-Match": '"another"', "If-None-Match": "TAG"}, 412),
        ({"If-Match": "TAG", "If-None-Match": "TAG"}, 304),
        ({"If-Match": "TAG", "If-Unmodified-Since": EARLIER}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": "never"}, 200),
    ],
)
def test_preconditions(ground: Ground, method: str, fields: dict[str, str], status: int) -> None:
    tag = tag_of(ground)
    answer = ground.ask(
        "/data.bin",
        {name: value.replace("TAG", tag) for name, value in fields.items()},
        method=method,
    )
    assert answer.status == status
    if status == 304:
        assert answer.fields == {"etag": tag, "cache-control": "no-cache"}


def test_304_repeats_what_caches_need(ground: Ground) -> None:
    tag = tag_of(ground, "/page.html")
    answer = ground.ask("/page.html", {"If-None-Match": tag})
    assert answer.status == 304
    assert answer.fields == {"etag": tag, "vary": "Accept-Encoding", "cache-control": "no-cache"}


def test_preconditions_say_nothing_where_there_is_nothing(ground: Ground) -> None:
    for fields in ({"If-None-Match": "*"}, {"If-Match": '"a"'}, {"If-Modified-Since": LATER}):
        assert ground.ask("/nothing", fields).status == 404
        assert ground.ask("/folder", fields).status == 301


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 1023),
        ("bytes=-1", 1023, 1023),
        ("bytes=-5000", 0, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=10-19", 10, 19),
        ("BYTES=10-19", 10, 19),
        ("bytes= 10-19 ", 10, 19),
        ("bytes=5000-,10-19", 10, 19),
    ],
)
def test_one_range(ground: Ground, value: str, first: int, last: int) -> None:
    answer = ground.ask("/data.bin", {"Range": value})
    assert answer.status == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.fields["content-range"] == f"bytes {first}-{last}/1024"
    assert answer.fields["etag"] == tag_of(ground)


@pytest.mark.parametrize(("octets", "is_copied"), [(1, True), (16_384, True), (16_385, False)])
def test_a_short_range_of_sealed_content_is_copied(
    tmp_path: Path, octets: int, is_copied: bool
) -> None:
    """What is joined with its head may be recalled; a copy that is not would be made each time."""
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 1000)
    with Ground(tmp_path) as ground:
        target = parse_target(b"/data.bin")
        assert target is not None
        value = b"bytes=10-%d" % (9 + octets)
        response = ground.site.respond(Request(b"GET", target, {b"range": value}))
        assert isinstance(response, Response)
        (segment,) = response.content
        assert isinstance(segment, bytes) == is_copied
        assert octets <= JOINED_OCTETS or not is_copied
        assert response.length == octets
        assert (
            ground.ask("/data.bin", {"Range": value.decode()}).content
            == (bytes(range(256)) * 1000)[10 : 10 + octets]
        )


@pytest.mark.parametrize("value", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_ranges_that_cannot_be_had(ground: Ground, value: str) -> None:
    answer = ground.ask("/data.bin", {"Range": value})
    assert answer.status == 416
    assert answer.fields["content-range"] == "bytes */1024"


@pytest.mark.parametrize(
    "value", ["", "bytes", "bytes=", "bytes=a-b", "bytes=9-5", "lines=1-2", "bytes=1", "bytes=--1"]
)
def test_ranges_that_mean_nothing_are_ignored(ground: Ground, value: str) -> None:
    assert ground.ask("/data.bin", {"Range": value}).content == CONTENT


def test_range_of_other_methods_is_ignored(ground: Ground) -> None:
    answer = ground.ask("/data.bin", {"Range": "bytes=0-0"}, method="HEAD")
    assert (answer.status, answer.fields["content-length"]) == (200, "1024")


def test_several_ranges(ground: Ground) -> None:
    wanted = [(0, 9), (500, 599), (1014, 1023)]
    answer = ground.ask("/data.bin", {"Range": "bytes=0-9,500-599,-10"})
    assert answer.status == 206
    boundary = answer.fields["content-type"].removeprefix("multipart/byteranges; boundary=")
    # RFC 2046 section 5.1.1: each part between delimiters, the last of which ends in two hyphens.
    start, *parts, end = answer.content.split(b"--" + boundary.encode())
    assert (start.strip(), end.strip()) == (b"", b"--")
    assert len(parts) == 3
    for part, (first, last) in zip(parts, wanted, strict=True):
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        assert content.removesuffix(b"\r\n") == CONTENT[first : last + 1]
        assert f"content-range: bytes {first}-{last}/1024".encode() in head.lower()
        assert b"content-type: application/octet-stream" in head.lower()


def test_hostile_ranges_do_not_multiply(ground: Ground) -> None:
    for value in (",".join(["0-"] * 500), ",".join(f"{n}-{n}" for n in range(0, 1000, 2))):
        answer = ground.ask("/data.bin", {"Range": f"bytes={value}"})
        assert answer.status in {200, 206, 416}
        assert len(answer.content) <= 2 * len(CONTENT)


@pytest.mark.parametrize(
    ("ranges", "status"),
    [
        ([f"{n}-{n}" for n in range(0, 1000, 5)], 206),
        ([f"{n}-{n}" for n in range(0, 1005, 5)], 200),
        ([f"{n}-{n + 3}" for n in range(0, 1000, 5)], 206),
        ([f"{n}-{n}" for n in range(1000, 0, -5)], 200),
        (["0-511", "256-767"], 206),
        (["0-511", "256-767", "512-1023"], 200),
        (["0-", "-1023"], 200),
        ([f"{n}-" for n in range(1023, 0, -5)], 200),
        (["0-0"] * 3, 200),
    ],
)
def test_no_answer_is_longer_than_the_file_and_the_heads_of_200_parts(
    ground: Ground, ranges: list[str], status: int
) -> None:
    answer = ground.ask("/data.bin", {"Range": f"bytes={','.join(ranges)}"})
    assert answer.status == status
    head_octets = len(
        "\r\n--" + "b" * 30 + "\r\nContent-Type: application/octet-stream"
        "\r\nContent-Range: bytes 1000-1023/1024\r\n\r\n"
    )
    assert len(answer.content) <= len(CONTENT) + 200 * head_octets


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        ("TAG", 206),
        ("W/TAG", 200),
        ('"another"', 200),
        (DATE, 206),
        (LATER, 200),
        (EARLIER, 200),
        ("rubbish", 200),
    ],
)
def test_if_range(ground: Ground, if_range: str, status: int) -> None:
    fields = {"Range": "bytes=0-9", "If-Range": if_range.replace("TAG", tag_of(ground))}
    answer = ground.ask("/data.bin", fields)
    assert answer.status == status
    assert answer.content == (CONTENT[:10] if status == 206 else CONTENT)


@pytest.mark.parametrize("path", ["/data.bin", "/page.html"])
@pytest.mark.parametrize("ranges", ["0-9", "0-1,5-9"])
def test_a_part_repeats_nothing_that_if_range_proves_known(
    ground: Ground, path: str, ranges: str
) -> None:
    """RFC 9110 section 15.3.7."""
    fields = {"Range": f"bytes={ranges}", "Accept-Encoding": "identity"}
    first = ground.ask(path, fields)
    again = ground.ask(path, {**fields, "If-Range": first.fields["etag"]})
    assert (first.status, again.status) == (206, 206)
    assert again.content == first.content
    is_multipart = "," in ranges
    known = {"last-modified", "accept-ranges"} | (set() if is_multipart else {"content-type"})
    assert known <= first.fields.keys()
    assert again.fields == {
        name: value for name, value in first.fields.items() if name not in known
    }
    assert is_multipart or "content-range" in again.fields


def test_if_range_by_the_date_of_this_very_second(ground: Ground) -> None:
    # It may change again within the second: the date tells no versions apart yet.
    replace(ground.root / "data.bin", CONTENT)
    os.utime(ground.root / "data.bin", (START_SECOND, START_SECOND))
    fields = {"Range": "bytes=0-9", "If-Range": ground.clock.date.decode()}
    assert ground.ask("/data.bin", fields).status == 200
    ground.clock.turn()
    assert ground.ask("/data.bin", fields).status == 206


def test_failed_preconditions_come_before_ranges(ground: Ground) -> None:
    tag = tag_of(ground)
    assert ground.ask("/data.bin", {"If-Match": '"a"', "Range": "bytes=9999-"}).status == 412
    assert ground.ask("/data.bin", {"If-None-Match": tag, "Range": "bytes=9999-"}).status == 304


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/folder", "/folder/"),
        ("/folder?a=b&c", "/folder/?a=b&c"),
        ("/folder?", "/folder/?"),
        ("//folder", "/folder/"),
        ("///folder", "/folder/"),
        ("/x/..//folder", "/folder/"),
        ("/folder?//evil.example", "/folder/?//evil.example"),
        ("http://evil.example/folder", "/folder/"),
        ('/folder?"<>\\^`{|}é', "/folder/?%22%3C%3E%5C%5E%60%7B%7C%7D%C3%A9"),
    ],
)
def test_redirects_stay_here(ground: Ground, target: str, location: str) -> None:
    for method in ("GET", "HEAD"):
        answer = ground.ask(target, method=method)
        assert (answer.status, answer.fields["location"]) == (301, location)


def test_redirects_to_folders_with_names_that_look_like_hosts(ground: Ground) -> None:
    for name in ("\\evil.example", "evil.example", "@evil.example", "a:b", "http:", "http:\\\\x"):
        (ground.root / name).mkdir()
        (ground.root / "folder" / name).mkdir()
        quoted = name.replace("\\", "%5C")
        assert ground.ask(f"/{quoted}").fields["location"] == f"/{quoted}/"
        assert ground.ask(f"//{quoted}").fields["location"] == f"/{quoted}/"
        assert ground.ask(f"/folder//{quoted}").fields["location"] == f"/folder/{quoted}/"


def test_own_page_for_404(ground: Ground) -> None:
    plain = ground.ask("/nothing")
    assert plain.status == 404
    assert b"404" in plain.content
    if ground.ask("/data.bin").is_kept:
        (ground.root / "404.html").write_bytes(b"<p>not here")
        for method in ("GET", "HEAD"):
            answer = ground.ask("/nothing/at/all", method=method)
            assert answer.status == 404
            assert answer.fields["content-length"] == "11"
            assert answer.fields["content-type"] == "text/html; charset=utf-8"
            assert not {"etag", "last-modified", "accept-ranges"} & answer.fields.keys()
        for fields in ({"If-None-Match": "*"}, {"Range": "bytes=0-1"}):
            answer = ground.ask("/nothing", fields)
            assert (answer.status, answer.content) == (404, b"<p>not here")


def test_methods(ground: Ground) -> None:
    for target in ("/data.bin", "*"):
        answer = ground.ask(target, method="OPTIONS")
        assert (answer.status, answer.fields["allow"]) == (204, "GET, HEAD, OPTIONS")
    for method in ("POST", "PUT", "DELETE", "PATCH", "get", "BREW"):
        answer = ground.ask("/data.bin", method=method)
        assert (answer.status, answer.fields["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_nosniff_whatever_the_answer(ground: Ground) -> None:
    (ground.root / "x.unheard").write_bytes(b"<script>")
    for target in ("/data.bin", "/page.html", "/x.unheard", "/nothing", "/folder", "/%2f"):
        answer = ground.ask(target)
        assert answer.content
        assert answer.fields["x-content-type-options"] == "nosniff"


def test_answers_of_another_second_show_no_other_validators(ground: Ground) -> None:
    before = ground.ask("/page.html").fields
    for _ in range(3):
        ground.clock.turn()
        assert ground.ask("/page.html").fields == before


def test_what_is_not_kept_in_the_cache_is_not_recalled(tmp_path: Path) -> None:
    # What was evicted is not watched, so no event would say when it ends.
    page = tmp_path / "page.txt"
    page.write_bytes(b"x" * 1000)
    with Ground(tmp_path, cache_octets=500) as ground:
        tag = tag_of(ground, "/page.txt")
        for fields in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": tag}):
            assert ground.ask("/page.txt", fields).basis is None
    with Ground(tmp_path) as ground:
        for fields in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": tag}):
            assert ground.ask("/page.txt", fields).basis is not None
