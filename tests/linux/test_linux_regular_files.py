"""A file is read; of anything else it is said what it is, without a wait, and nothing stays open."""

import os
from pathlib import Path

import pytest

from epollo.linux.regular_files import read_regular_file


def test_at_most_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "file", 100) == b"content"
    assert read_regular_file(str(tmp_path / "link"), 4) == b"cont"


def test_what_is_no_regular_file_is_told_and_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = os.listdir("/proc/self/fd")
    for path, reason in (
        (tmp_path / "folder", "Is a directory"),
        (tmp_path / "pipe", "it is no regular file"),
        (Path("/dev/zero"), "it is no regular file"),
        (tmp_path / "none", "No such file or directory"),
    ):
        with pytest.raises(OSError, match=reason) as refused:
            read_regular_file(path, 1)
        assert refused.value.strerror == reason
    assert os.listdir("/proc/self/fd") == before
