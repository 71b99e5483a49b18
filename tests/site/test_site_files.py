"""Large files: opened when they are sent, if they are what was announced."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.loop import Clock
from epollo.site.files import Files
from epollo.site.media_types import UNKNOWN
from epollo.site.open_files import OpenFile, Promises, SharedFile
from epollo.site.representation import read_edition
from epollo.site.resolve import Kind
from epollo.site.resource import Resource
from epollo.site.root import Root
from site_grounds import TurnedClock, list_open_below, replace

CONTENT = b"content" * 1000


class Opened:
    """A folder with one file, and what opens it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "large.bin"
        self.path.write_bytes(CONTENT)
        self.clock: Clock = TurnedClock()
        self.root = Root(folder, lambda: None)
        self.promises = Promises(None)
        self.files = Files(self.root, self.clock)

    def find(self, name: bytes = b"large.bin") -> Resource:
        """Return the file as a resource whose content is not kept."""
        found = self.root.walk((name,))
        resource = Resource((name,), found.kind, found.edges, self.clock.second, lambda _: True)
        if found.kind is Kind.FILE:
            resource.edition = read_edition(found.descriptor, UNKNOWN, 0, self.promises.find)
            os.close(found.descriptor)
        return resource


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path)
    yield opened
    opened.promises.clear()
    opened.root.close()
    assert not list_open_below(tmp_path)


def test_answers_with_one_version_share_a_descriptor(opened: Opened) -> None:
    resource = opened.find()
    file = opened.files.open(resource)
    assert file is not None
    assert os.pread(file.descriptor, 7, 0) == b"content"
    assert opened.files.open(resource) is file


def test_beyond_the_limit_each_answer_has_a_descriptor_of_its_own(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SharedFile, "may_have_more", lambda: False)
    resource = opened.find()
    one, other = opened.files.open(resource), opened.files.open(resource)
    assert type(one) is type(other) is OpenFile
    assert one.descriptor != other.descriptor
    one.close()
    other.close()


@pytest.mark.parametrize("change", ["replaced", "removed", "a folder"])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_file_that_is_another_is_not_opened(opened: Opened, change: str, is_open: bool) -> None:
    resource = opened.find()
    if is_open:
        assert opened.files.open(resource) is not None
    if change == "replaced":
        replace(opened.path, CONTENT[::-1])
    else:
        opened.path.unlink()
    if change == "a folder":
        opened.path.mkdir()
    file = opened.files.open(resource)
    if is_open and file is not None:
        # It is open from before, with the former content, and has no name any more.
        assert os.pread(file.descriptor, 7, 0) == b"content"
    else:
        assert file is None
    del file, resource
    gc.collect()


def test_nothing_is_opened_where_nothing_was_found(opened: Opened) -> None:
    assert opened.files.open(opened.find(b"missing")) is None


def test_content_is_opened_to_be_read(opened: Opened) -> None:
    content, edges = opened.files.open_content((b"large.bin",))
    assert content is not None
    assert content.read(0, 7) == b"content"
    assert [edge.name for edge in edges] == [b"large.bin"]
    del content
    nothing, edges = opened.files.open_content((b"missing",))
    assert nothing is None
    assert [edge.name for edge in edges] == [b"missing"]
    (opened.path.parent / "folder").mkdir()
    assert opened.files.open_content((b"folder",))[0] is None
