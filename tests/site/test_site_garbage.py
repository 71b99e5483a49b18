"""What ends is freed at once: nothing is left that only a garbage collection could find."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.quantities import MEBIBYTE
from site_grounds import Ground, PromptCompressor, replace

ROUNDS = 20
FIELDS: tuple[dict[str, str], ...] = (
    {},
    {"Accept-Encoding": "gzip, br"},
    {"If-None-Match": '"x"'},
    {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
    {"Range": "bytes=0-99"},
    {"Range": "bytes=0-9, 20-29"},
)


@pytest.fixture
def collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("kept_octets_limit", [MEBIBYTE, 100], ids=["kept", "not kept"])
def test_versions_that_end_leave_no_circle(tmp_path: Path, kept_octets_limit: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    compressor = PromptCompressor()
    with Ground(
        tmp_path, compressor=compressor, kept_octets_limit=kept_octets_limit, cache_octets=400_000
    ) as ground:
        for number in range(ROUNDS):
            for name in ("page.txt", "other.html", "large.bin"):
                replace(folder / name, b"%d " % number * 5000)
            for target in ("page.txt", "other.html", "large.bin", "nothing", "page.txt/below", ""):
                for fields in FIELDS * 2:
                    ground.ask(f"/folder/{target}", fields)
            ground.clock.turn()
            folder.rename(tmp_path / "former")
            assert ground.status("/folder/page.txt") == 404
            (tmp_path / "former").rename(folder)
        found = gc.collect()
    compressor.close()
    # What is found does not grow with the number of versions.
    assert found < ROUNDS
