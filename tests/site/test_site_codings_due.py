"""When codings pay: not for what is asked for once, nor for what changes all the time."""

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from epollo.http.content_coding import CodingPreference, parse_accept_encoding
from epollo.site.compressor import Task
from epollo.site.demand import select_wanted
from site_grounds import Answer, Ground, PromptCompressor, TurnedClock, replace

TEXT = b" ".join(b"%x" % number for number in random.Random(7).choices(range(1000), k=3000))
GZIP = {"Accept-Encoding": "gzip"}


class CountingCompressor(PromptCompressor):
    """A compressor that counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks = 0
        self.improvements = 0

    def add(self, task: Task) -> bool:
        self.tasks += 1
        return super().add(task)

    def improve(self, task: Task, limits: Mapping[bytes, int]) -> bool:
        self.improvements += 1
        return super().improve(task, limits)


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip, br", b"br"),
        (b"br;q=1, gzip;q=0.8, zstd;q=0.9", b"br"),
        (b"gzip;q=0.5, identity;q=0.5", b"gzip"),
        (b"gzip;q=0.5, identity", None),
        (b"identity", None),
        (b"gzip;q=0, br;q=0", None),
        (b"*", b"zstd"),
        (b"*, zstd;q=0", b"br"),
        (b"compress", None),
    ],
)
def test_one_coding_is_wanted_of_those_that_are_liked_best(
    accepted: bytes, wanted: bytes | None
) -> None:
    assert select_wanted(parse_accept_encoding(accepted)) == wanted


def test_a_coding_of_which_no_speed_is_known_is_wanted_after_the_others() -> None:
    assert select_wanted(CodingPreference(((b"new", 1000), (b"gzip", 1000)))) == b"gzip"
    assert select_wanted(CodingPreference(((b"new", 1000), (b"gzip", 900)))) == b"new"


@pytest.fixture
def compressor() -> CountingCompressor:
    return CountingCompressor()


@pytest.fixture
def ground(tmp_path: Path, compressor: CountingCompressor) -> Iterator[Ground]:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_bytes(TEXT)
    with Ground(tmp_path, compressor=compressor) as ground:
        yield ground


def is_true(answer: Answer, ground: Ground) -> bool:
    return answer.basis is not None and answer.basis.stands(ground.clock.second)


def test_a_crawl_compresses_nothing(ground: Ground, compressor: CountingCompressor) -> None:
    for number in range(20):
        answer = ground.ask(f"/{number}.txt", GZIP)
        assert answer.content == TEXT
        # Given again it would ask for no codings, and nothing is done for what may never come again.
        assert not is_true(answer, ground)
    assert not compressor.tasks


def test_what_is_asked_for_again_is_coded(ground: Ground, compressor: CountingCompressor) -> None:
    ground.ask("/1.txt", GZIP)
    assert is_true(ground.ask("/1.txt", GZIP), ground)
    answer = ground.ask("/1.txt", GZIP)
    assert answer.fields["content-encoding"] == "gzip"
    assert compressor.tasks == 1
    assert not compressor.improvements


def test_what_changed_in_this_second_waits_for_the_next(
    tmp_path: Path, compressor: CountingCompressor
) -> None:
    page = tmp_path / "page.txt"
    page.write_bytes(TEXT)
    clock = TurnedClock(int(page.stat().st_ctime))
    with Ground(tmp_path, compressor=compressor, clock=clock) as ground:
        for _ in range(100):
            answer = ground.ask("/page.txt", GZIP)
        assert not compressor.tasks
        # It is recalled meanwhile, but no longer than that.
        assert is_true(answer, ground)
        clock.turn()
        assert not is_true(answer, ground)
        ground.ask("/page.txt", GZIP)
        assert ground.ask("/page.txt", GZIP).fields["content-encoding"] == "gzip"


def test_a_file_that_is_written_again_and_again_is_not_coded_each_time(
    tmp_path: Path, compressor: CountingCompressor
) -> None:
    page = tmp_path / "page.txt"
    page.write_bytes(TEXT)
    clock = TurnedClock(int(page.stat().st_ctime))
    with Ground(tmp_path, compressor=compressor, clock=clock) as ground:
        for number in range(200):
            replace(page, b"%d" % number + TEXT)
            clock.turn(int(page.stat().st_ctime) - clock.second)
            for _ in range(3):
                assert ground.ask("/page.txt", GZIP).content == b"%d" % number + TEXT
    assert not compressor.tasks


def test_codings_are_made_as_small_as_can_be_where_they_are_used_for_long(
    ground: Ground, compressor: CountingCompressor
) -> None:
    lengths = []
    for _ in range(80):
        answer = ground.ask("/1.txt", GZIP)
        lengths.append(int(answer.fields["content-length"]))
        ground.clock.turn()
    assert compressor.tasks == 1
    assert compressor.improvements == 1
    # As it is, coded quickly, as small as can be.
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 3
    assert lengths[55] > lengths[65]


def test_what_is_coded_already_asks_for_nothing(
    tmp_path: Path, compressor: CountingCompressor
) -> None:
    (tmp_path / "noise.txt").write_bytes(os.urandom(2000))
    with Ground(tmp_path, compressor=compressor) as ground:
        for _ in range(5):
            assert is_true(ground.ask("/noise.txt"), ground)
    assert not compressor.tasks
