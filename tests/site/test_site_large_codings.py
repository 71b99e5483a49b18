"""Codings of files that are too large to be kept."""

import gzip
import os
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest

from epollo.http.message import ENDED, Basis
from epollo.site.codings import CODINGS
from epollo.site.file_task import FileTask
from epollo.site.pieces import HeldContent, read_pieces
from site_grounds import Answer, Ground, PromptCompressor, replace

KEPT_OCTETS = 1000
CODED = {coding.name.decode(): coding for coding in CODINGS}


def make_content(octets: int = 100_000, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    return b"".join(b"%d, " % chance.randrange(1000) for _ in range(octets // 4))[:octets]


CONTENT = make_content()


def decode(coding: str, coded: bytes) -> bytes:
    return b"".join(CODED[coding].decode(read_pieces(HeldContent(coded))))


class WaitingCompressor(PromptCompressor):
    """A compressor that takes files, and looks at them when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[FileTask] = []
        self.calls: list[Callable[[], None]] = []

    def add_file(self, task: FileTask) -> bool:
        self.tasks.append(task)
        return True

    def run(self, give_way: Callable[[], None] = lambda: None) -> None:
        """Do what was asked for; what is made waits in ``calls``."""
        while self.tasks:
            task = self.tasks.pop(0)
            limits = task.run(give_way, self.calls.append)
            task.improve(limits, give_way, self.calls.append)

    def hand_on(self) -> None:
        while self.calls:
            self.calls.pop(0)()


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codings are made when they are looked for first."""
    monkeypatch.setattr("epollo.site.demand._ASKED_MINIMUM", 1)


@pytest.fixture
def compressor() -> WaitingCompressor:
    return WaitingCompressor()


@pytest.fixture
def ground(tmp_path: Path, compressor: WaitingCompressor) -> Iterator[Ground]:
    root = tmp_path / "root"
    root.mkdir()
    (root / "app.js").write_bytes(CONTENT)
    with Ground(root, kept_octets_limit=KEPT_OCTETS, compressor=compressor) as ground:
        yield ground


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code once, as what is larger still; the best that can be made takes its time."""
    monkeypatch.setattr("epollo.site.file_task.LARGE_OCTETS", 0)


def ask(ground: Ground, coding: str = "br", fields: dict[str, str] | None = None) -> Answer:
    return ground.ask("/app.js", {"Accept-Encoding": coding, **(fields or {})})


def ask_coded(ground: Ground, compressor: WaitingCompressor, coding: str = "br") -> Answer:
    """Return the answer once everything that is asked for is made."""
    ask(ground, coding)
    compressor.run()
    compressor.hand_on()
    return ask(ground, coding)


class Kept:
    """What recall keeps, as the catalogue sees it."""

    is_released = False
    basis: Basis = ENDED

    def release(self) -> None:
        self.is_released = True


@pytest.mark.parametrize("coding", CODED)
def test_a_later_answer_is_coded(
    ground: Ground, compressor: WaitingCompressor, coding: str
) -> None:
    first = ask(ground, coding)
    assert (first.content, first.fields["vary"]) == (CONTENT, "Accept-Encoding")
    assert "content-encoding" not in first.fields
    compressor.run()
    kept = Kept()
    ground.catalogue.find((b"app.js",)).hold(kept)
    compressor.hand_on()
    # What is recalled has to go: there is something better now.
    assert kept.is_released
    later = ask(ground, coding)
    assert later.fields["content-encoding"] == coding
    assert len(later.content) < len(CONTENT) / 2
    assert decode(coding, later.content) == CONTENT
    assert later.fields["content-type"] == "text/javascript; charset=utf-8"
    assert ground.ask("/app.js", {"Accept-Encoding": coding}, method="HEAD").fields == later.fields
    assert ground.get("/app.js") == CONTENT


def test_every_coding_has_a_strong_tag_of_its_content(
    ground: Ground, compressor: WaitingCompressor
) -> None:
    ask_coded(ground, compressor)
    tags = {coding: ask(ground, coding).fields["etag"] for coding in (*CODED, "identity")}
    assert len(set(tags.values())) == 4
    assert not any(tag.startswith("W/") for tag in tags.values())
    for coding, tag in tags.items():
        answer = ask(ground, coding, {"If-None-Match": tag})
        assert (answer.status, answer.fields["etag"]) == (304, tag)
        other = tags["gzip" if coding != "gzip" else "br"]
        assert ask(ground, coding, {"If-None-Match": other}).status == 200
    # Another version has others, but for one of the same content.
    (ground.root / "app.js").write_bytes(CONTENT[:-1] + b"x")
    assert ask_coded(ground, compressor).fields["etag"] != tags["br"]
    (ground.root / "app.js").write_bytes(CONTENT)
    assert ask_coded(ground, compressor).fields["etag"] == tags["br"]


def test_ranges_of_a_coding(ground: Ground, compressor: WaitingCompressor) -> None:
    whole = ask_coded(ground, compressor, "gzip")
    tag = whole.fields["etag"]
    length = len(whole.content)
    for first, last in ((0, 0), (5, 700), (length - 10, length - 1)):
        for fields in ({}, {"If-Range": tag}):
            answer = ask(ground, "gzip", {"Range": f"bytes={first}-{last}", **fields})
            assert (answer.status, answer.content) == (206, whole.content[first : last + 1])
            assert answer.fields["content-range"] == f"bytes {first}-{last}/{length}"
            # What If-Range proves known is not repeated (RFC 9110 section 15.3.7).
            assert answer.fields.get("content-encoding") == (None if fields else "gzip")
            assert answer.fields["etag"] == tag
    several = ask(ground, "gzip", {"Range": "bytes=0-9,500-599"})
    assert several.status == 206
    assert whole.content[500:600] in several.content
    # A download of the file as it is does not continue with a coding of it.
    plain = ask(ground, "identity").fields["etag"]
    answer = ask(ground, "gzip", {"Range": "bytes=5-", "If-Range": plain})
    assert (answer.status, answer.content) == (200, whole.content)


@pytest.mark.parametrize("change", ["write", "replace", "touch", "unlink"])
def test_a_coding_ends_with_its_version(
    ground: Ground, compressor: WaitingCompressor, change: str
) -> None:
    ask_coded(ground, compressor)
    path = ground.root / "app.js"
    other = make_content(seed=2)
    if change == "write":
        path.write_bytes(other)
    elif change == "replace":
        replace(path, other)
    elif change == "touch":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    answer = ask(ground)
    assert "content-encoding" not in answer.fields
    if change == "unlink":
        assert answer.status == 404
    else:
        assert answer.content == path.read_bytes()
        assert decode("br", ask_coded(ground, compressor).content) == path.read_bytes()


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_what_is_made_of_another_version_is_not_used(
    ground: Ground, compressor: WaitingCompressor, when: str
) -> None:
    path = ground.root / "app.js"
    times = path.stat()
    other = make_content(seed=2)
    count = 0

    def write() -> None:
        with path.open("r+b") as file:
            file.write(other)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def give_way() -> None:
        nonlocal count
        count += 1
        if when == "during" and count == 2:
            write()

    ask(ground)
    if when == "before":
        write()
    compressor.run(give_way)
    if when == "after":
        write()
    compressor.hand_on()
    answer = ground.ask("/app.js", {"Accept-Encoding": "br"}, drain=False)
    assert (answer.content, answer.fields.get("content-encoding")) == (other, None)


def test_nothing_is_made_that_is_not_wanted_any_more(
    ground: Ground, compressor: WaitingCompressor
) -> None:
    ask(ground)
    replace(ground.root / "app.js", make_content(seed=2))
    assert ground.status("/app.js") == 200
    pieces = 0

    def count() -> None:
        nonlocal pieces
        pieces += 1

    compressor.run(count)
    assert pieces == 1
    assert not compressor.calls


def test_what_does_not_shrink_is_sent_as_it_is(
    ground: Ground, compressor: WaitingCompressor
) -> None:
    (ground.root / "app.js").write_bytes(random.Random(3).randbytes(100_000))
    assert "content-encoding" not in ask_coded(ground, compressor).fields
    assert not compressor.tasks


@pytest.mark.parametrize("coding", CODED)
def test_what_is_not_very_large_is_made_as_small_as_can_be(
    ground: Ground, compressor: WaitingCompressor, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.file_task.LARGE_OCTETS", len(CONTENT) + 1)
    best = ask_coded(ground, compressor, coding).content
    encoder = CODED[coding].encoder(CODED[coding].effort.best, len(CONTENT))
    assert best == encoder.encode(CONTENT) + encoder.finish()
    octets = ground.catalogue.resources.files.octets
    monkeypatch.setattr("epollo.site.file_task.LARGE_OCTETS", len(CONTENT))
    replace(ground.root / "app.js", CONTENT)
    quick = ask_coded(ground, compressor, coding).content
    encoder = CODED[coding].encoder(CODED[coding].effort.large, len(CONTENT))
    assert quick == encoder.encode(CONTENT) + encoder.finish()
    # What was replaced by something shorter is not counted any more.
    assert octets <= ground.catalogue.resources.files.octets


def test_what_is_longer_than_the_limit_is_not_coded(
    ground: Ground, compressor: WaitingCompressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.file_task.CODED_OCTETS_LIMIT", len(CONTENT) - 1)
    assert "content-encoding" not in ask_coded(ground, compressor).fields
    # Its sidecar is used all the same.
    (ground.root / "app.js.br").write_bytes(brotli.compress(CONTENT))
    assert ask_coded(ground, compressor).fields["content-encoding"] == "br"


def test_what_is_made_counts_as_kept(tmp_path: Path, compressor: WaitingCompressor) -> None:
    with Ground(
        tmp_path, kept_octets_limit=KEPT_OCTETS, cache_octets=500_000, compressor=compressor
    ) as ground:
        for number in range(12):
            (tmp_path / f"{number}.js").write_bytes(make_content(seed=number))
            ground.ask(f"/{number}.js", {"Accept-Encoding": "br"})
            compressor.run()
            compressor.hand_on()
            assert ground.catalogue.resources.files.octets <= 500_000
        held = sum(
            representation.length
            for resource in ground.catalogue.resources.files.entries()
            if resource.edition is not None
            for coding, representation in resource.edition.representations.items()
            if coding != b"identity"
        )
        assert 100_000 < held <= ground.catalogue.resources.files.octets


def test_a_cache_that_is_too_small_is_not_filled_without_use(
    tmp_path: Path, compressor: WaitingCompressor
) -> None:
    (tmp_path / "app.js").write_bytes(CONTENT)
    with Ground(
        tmp_path, kept_octets_limit=KEPT_OCTETS, cache_octets=100_000, compressor=compressor
    ) as ground:
        assert "content-encoding" not in ask_coded(ground, compressor).fields
        # It is not tried again with every request.
        assert not compressor.tasks
        assert ground.catalogue.find((b"app.js",)).is_current


@pytest.mark.parametrize("coding", CODED)
def test_a_sidecar_is_used_from_where_it_stands(
    ground: Ground, compressor: WaitingCompressor, coding: str
) -> None:
    coded = {
        "gzip": gzip.compress(CONTENT, 1),
        "br": brotli.compress(CONTENT, quality=1),
        "zstd": _zstd(CONTENT),
    }[coding]
    sidecar = ground.root / f"app.js{CODED[coding].suffix.decode()}"
    sidecar.write_bytes(coded)
    kept = ground.catalogue.resources.files.octets
    answer = ask_coded(ground, compressor, coding)
    assert (answer.content, answer.fields["content-encoding"]) == (coded, coding)
    assert not answer.is_kept
    assert answer.basis is not None
    assert ground.reports == []
    part = ask(ground, coding, {"Range": "bytes=7-99", "If-Range": answer.fields["etag"]})
    assert (part.status, part.content) == (206, coded[7:100])
    assert ground.catalogue.resources.files.octets - kept < len(CONTENT)


def _zstd(content: bytes) -> bytes:
    encoder = CODED["zstd"].encoder(1, len(content))
    return encoder.encode(content) + encoder.finish()


@pytest.mark.parametrize(
    ("suffix", "coded", "reason"),
    [
        (".gz", gzip.compress(CONTENT[:-1]), "does not decode to the file beside it"),
        (".gz", gzip.compress(CONTENT) * 2, "continues after its first gzip member"),
        (".gz", bytes(1_000_000), "is more than twice as long as the file beside it"),
        (".br", zlib.compress(CONTENT), "does not decode to the file beside it"),
        (".zst", b"\x28\xb5\x2f\xfd\x00\x70" + _zstd(CONTENT), "asks for a window of 16 MiB"),
    ],
)
def test_a_sidecar_that_cannot_be_used(
    ground: Ground, compressor: WaitingCompressor, suffix: str, coded: bytes, reason: str
) -> None:
    (ground.root / f"app.js{suffix}").write_bytes(coded)
    coding = {".gz": "gzip", ".br": "br", ".zst": "zstd"}[suffix]
    answer = ask_coded(ground, compressor, coding)
    assert decode(coding, answer.content) == CONTENT
    assert answer.content != coded
    assert len(ground.reports) == 1
    assert ground.reports[0].startswith(f"app.js{suffix} {reason}")
    assert ground.reports[0].endswith("; it is not used")


def test_sidecars_that_come_change_and_go(ground: Ground, compressor: WaitingCompressor) -> None:
    own = ask_coded(ground, compressor, "gzip").content
    sidecar = ground.root / "app.js.gz"
    for coded in (gzip.compress(CONTENT, 2), gzip.compress(CONTENT, 3)):
        sidecar.write_bytes(coded)
        assert ask_coded(ground, compressor, "gzip").content == coded
    sidecar.unlink()
    assert ask_coded(ground, compressor, "gzip").content == own


def test_writing_a_sidecar_ends_no_answer_with_the_file(
    ground: Ground, compressor: WaitingCompressor
) -> None:
    sidecar = ground.root / "app.js.gz"
    sidecar.write_bytes(gzip.compress(CONTENT, 1))
    ask_coded(ground, compressor, "gzip")
    assert ground.get("/app.js") == CONTENT
    resource = ground.catalogue.find((b"app.js",))
    assert resource.edition is not None
    assert resource.edition.file is not None
    content = resource.edition.representations[b"gzip"].content
    assert content is not None
    assert not isinstance(content, bytes)
    times = sidecar.stat()
    with sidecar.open("r+b") as file:
        file.write(b"\x1f\x8b")
    os.utime(sidecar, ns=(times.st_atime_ns, times.st_mtime_ns))
    ask(ground)
    assert not resource.is_current
    assert resource.edition.file.is_unchanged(9)
    assert not content.file.is_unchanged(9)


def test_a_sidecar_that_changed_unseen_is_not_sent(
    ground: Ground, compressor: WaitingCompressor
) -> None:
    sidecar = ground.root / "app.js.gz"
    sidecar.write_bytes(gzip.compress(CONTENT, 1))
    ask_coded(ground, compressor, "gzip")
    with sidecar.open("r+b") as file:
        file.truncate(100)
    answer = ground.ask("/app.js", {"Accept-Encoding": "gzip"}, drain=False)
    assert (answer.status, answer.content) == (200, CONTENT)


def test_a_sidecar_that_changes_while_it_is_looked_at(
    ground: Ground, compressor: WaitingCompressor
) -> None:
    sidecar = ground.root / "app.js.gz"
    sidecar.write_bytes(gzip.compress(CONTENT, 1))
    ask(ground, "gzip")
    compressor.run()
    sidecar.write_bytes(b"x" * 100)
    compressor.hand_on()
    answer = ground.ask("/app.js", {"Accept-Encoding": "gzip"}, drain=False)
    assert answer.content == CONTENT


def test_descriptors_are_given_back(tmp_path: Path, compressor: WaitingCompressor) -> None:
    from site_grounds import count_descriptors

    before = count_descriptors()
    (tmp_path / "app.js").write_bytes(CONTENT)
    (tmp_path / "app.js.gz").write_bytes(gzip.compress(CONTENT))
    (tmp_path / "app.js.br").write_bytes(b"nothing")
    with Ground(tmp_path, kept_octets_limit=KEPT_OCTETS, compressor=compressor) as ground:
        ask_coded(ground, compressor)
        ask(ground, "gzip")
        ask(ground, "identity")
        (tmp_path / "app.js").write_bytes(CONTENT + b"x")
        ask(ground)
        (tmp_path / "app.js").unlink()
        ask(ground)
        compressor.run()
        compressor.hand_on()
    del ground
    assert count_descriptors() == before
