"""Responses made of an edition: their fields, in every form of it."""

import os
from pathlib import Path

import pytest

from epollo.http.content_coding import IDENTITY
from epollo.http.dates import format_date
from epollo.http.status import respond_plainly
from epollo.site.entity_tags import tag_content
from epollo.site.media_types import OURS, MediaType
from epollo.site.policy import Policy
from epollo.site.representation import Edition, keep_coded, read_edition
from epollo.site.responses import (
    describe,
    redirect,
    respond_not_modified,
    respond_unsatisfiable,
    respond_with_page,
)
from epollo.site.sealed import Coded
from epollo.site.treatment import Treatment

SECOND = 2_000_000_000
ERROR_FIELDS = ((b"Cache-Control", b"no-cache"),)


def make_edition(tmp_path: Path, name: str = "page.html") -> Edition:
    path = tmp_path / name
    path.write_bytes(b"content")
    os.utime(path, (SECOND, SECOND))
    descriptor = os.open(path, os.O_RDONLY)
    media_type: MediaType = OURS.select(name.encode())
    try:
        return read_edition(descriptor, media_type, 100)
    finally:
        os.close(descriptor)


@pytest.fixture
def treatment() -> Treatment:
    treatment = Policy().find(b"/page.html", None)
    assert treatment is not None
    return treatment


def test_fields_of_the_whole(tmp_path: Path, treatment: Treatment) -> None:
    edition = make_edition(tmp_path)
    edition.cache_fields = ((b"Cache-Control", b"max-age=1"),)
    fields = describe(treatment, edition, IDENTITY, SECOND + 10)
    assert [name for name, _ in fields[:2]] == [b"Content-Type", b"Content-Length"]
    assert dict(fields) == {
        b"Content-Type": b"text/html; charset=utf-8",
        b"Content-Length": b"7",
        b"ETag": edition.identity.entity_tag.format(),
        b"Vary": b"Accept-Encoding",
        b"Cache-Control": b"max-age=1",
        b"Last-Modified": format_date(SECOND),
        b"Accept-Ranges": b"bytes",
        b"X-Content-Type-Options": b"nosniff",
    }


def test_fields_of_a_coding(tmp_path: Path, treatment: Treatment) -> None:
    edition = make_edition(tmp_path)
    edition.add(b"gzip", keep_coded(Coded(b"coded", tag_content(b"coded"))))
    fields = dict(describe(treatment, edition, b"gzip", SECOND + 10))
    assert fields[b"Content-Encoding"] == b"gzip"
    assert fields[b"Content-Length"] == b"5"
    assert fields[b"ETag"] != edition.identity.entity_tag.format()


@pytest.mark.parametrize(
    ("now_seconds", "expected"), [(SECOND, SECOND - 1), (SECOND + 1, SECOND), (5, 4)]
)
def test_a_date_is_one_of_a_second_that_is_over(
    tmp_path: Path, treatment: Treatment, now_seconds: int, expected: int
) -> None:
    """RFC 9110 sections 8.8.2.1 and 8.8.2.2."""
    fields = dict(describe(treatment, make_edition(tmp_path), IDENTITY, now_seconds))
    assert fields[b"Last-Modified"] == format_date(expected)


def test_without_a_date(tmp_path: Path, treatment: Treatment) -> None:
    edition = make_edition(tmp_path)
    edition.last_modified_seconds = None
    assert b"Last-Modified" not in dict(describe(treatment, edition, IDENTITY, SECOND))


def test_what_is_not_negotiated_has_no_vary(tmp_path: Path, treatment: Treatment) -> None:
    fields = dict(describe(treatment, make_edition(tmp_path, "photo.png"), IDENTITY, SECOND))
    assert b"Vary" not in fields


def test_an_answer_304_repeats_what_a_cache_needs(tmp_path: Path, treatment: Treatment) -> None:
    """RFC 9110 section 15.4.5."""
    edition = make_edition(tmp_path)
    edition.cache_fields = ERROR_FIELDS
    response = respond_not_modified(treatment, edition, edition.identity, None)
    assert (response.status, response.content) == (304, ())
    assert [name for name, _ in response.fields] == [b"ETag", b"Vary", b"Cache-Control"]


def test_an_answer_416_says_how_long_the_content_is(tmp_path: Path) -> None:
    response = respond_unsatisfiable(make_edition(tmp_path).identity, ERROR_FIELDS)
    assert response.status == 416
    assert dict(response.fields)[b"Content-Range"] == b"bytes */7"
    assert dict(response.fields)[b"Cache-Control"] == b"no-cache"


def test_an_answer_404_has_the_content_of_the_page(tmp_path: Path, treatment: Treatment) -> None:
    page = make_edition(tmp_path)
    plain = respond_plainly(404, ERROR_FIELDS)
    response = respond_with_page(plain, treatment, page, IDENTITY)
    assert (response.status, response.content) == (404, (b"content",))
    assert {b"ETag", b"Last-Modified"}.isdisjoint(dict(response.fields))
    assert dict(response.fields)[b"X-Content-Type-Options"] == b"nosniff"


@pytest.mark.parametrize(
    ("names", "query", "location"),
    [
        ((b"folder", b""), None, b"/folder/"),
        ((b"folder", b""), b"a=b", b"/folder/?a=b"),
        ((b"folder", b""), b"", b"/folder/?"),
        ((b"f\xc3\xa4", b"?", b""), None, b"/f%C3%A4/%3F/"),
        ((b"folder", b""), b'"<\xff', b"/folder/?%22%3C%FF"),
    ],
)
def test_a_redirect_stays_on_this_host(
    names: tuple[bytes, ...], query: bytes | None, location: bytes
) -> None:
    response = redirect(names, query, ERROR_FIELDS, None)
    assert response.status == 301
    assert dict(response.fields)[b"Location"] == location
    assert response.basis is None
