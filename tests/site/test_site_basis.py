"""What an answer rests on: the resource, and besides it the second or the file."""

import os
from pathlib import Path

import pytest

from epollo.http.message import Basis
from epollo.site.basis import select_basis, select_file_basis
from epollo.site.media_types import UNKNOWN
from epollo.site.open_files import SharedFile
from epollo.site.promise import Promise
from epollo.site.representation import Edition, read_edition
from epollo.site.resolve import Kind
from epollo.site.resource import Resource

SECOND = 2_000_000_000


def make_resource() -> Resource:
    return Resource((b"file",), Kind.FILE, (), SECOND, lambda resource: resource.is_current)


@pytest.fixture
def edition(tmp_path: Path) -> Edition:
    """A version from the second before."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, (SECOND - 1, SECOND - 1))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_edition(descriptor, UNKNOWN, 100)
    finally:
        os.close(descriptor)


def stands(basis: Basis | None, second: int) -> bool:
    assert basis is not None
    return basis.stands(second)


def test_an_answer_rests_on_its_resource(edition: Edition) -> None:
    resource = make_resource()
    assert select_basis({}, resource, edition, SECOND) is resource


def test_an_answer_with_what_has_ended_rests_on_nothing(edition: Edition) -> None:
    resource = make_resource()
    resource.end()
    assert select_basis({}, resource, edition, SECOND) is None


@pytest.mark.parametrize("seconds", [0, 1])
def test_in_the_second_of_a_change_an_answer_stands_for_this_second(
    edition: Edition, seconds: int
) -> None:
    edition.last_modified_seconds = SECOND + seconds
    basis = select_basis({}, make_resource(), edition, SECOND)
    assert stands(basis, SECOND)
    assert not stands(basis, SECOND + 1)


@pytest.mark.parametrize("name", [b"if-modified-since", b"if-unmodified-since", b"if-range"])
@pytest.mark.parametrize(
    ("value", "is_by_the_time"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", False),
        (b"Sun Nov  6 08:49:37 1994", False),
        # RFC 9110 section 5.6.7: the century is told from now.
        (b"Sunday, 06-Nov-94 08:49:37 GMT", True),
        (b"never", False),
        (b'"a-b"', False),
    ],
)
def test_a_date_without_its_century_is_read_by_the_time_of_the_request(
    edition: Edition, name: bytes, value: bytes, *, is_by_the_time: bool
) -> None:
    resource = make_resource()
    fields = {b"if-match": b"*", b"range": b"bytes=0-1", name: value}
    basis = select_basis(fields, resource, edition, SECOND)
    assert stands(basis, SECOND)
    assert stands(basis, SECOND + 1) is not is_by_the_time
    resource.end()
    assert not stands(basis, SECOND)


def test_an_answer_from_a_file_rests_on_the_file_too(tmp_path: Path, edition: Edition) -> None:
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDONLY)
    file = SharedFile(descriptor, Promise(descriptor, None))
    resource = make_resource()
    # Where each answer has a descriptor of its own, another answer cannot use it.
    assert select_file_basis(resource, edition, file) is None
    edition.file = file
    assert select_file_basis(None, edition, file) is None
    basis = select_file_basis(resource, edition, file)
    assert stands(basis, SECOND)
    path.write_bytes(b"another")
    os.utime(path, (SECOND + 5, SECOND + 5))
    assert not stands(basis, SECOND)
