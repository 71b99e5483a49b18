"""What a file that was asked for takes besides its content, in bytes that Python allocates."""

import gc
import os
import tracemalloc
from pathlib import Path

from connections.in_process import FolderSite, InProcess, Peer
from loop.hand_clock import HandClock

FILES = 300
WARM = 100
CONTENT_OCTETS = 2000
BATCH = 20
# Of which the field lines, the head that it is recalled by and places in dictionaries take a third.
OCTETS_LIMIT = 1700


def ask(harness: InProcess, peer: Peer, numbers: range) -> None:
    """Ask for files, some at a time, so that the peer keeps few answers."""
    for first in numbers[::BATCH]:
        for number in range(first, first + BATCH):
            peer.send(b"GET /folder/file%04d.png HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            harness.settle(peer)
        assert peer.received.count(b"HTTP/1.1 200 OK") == BATCH
        peer.received = bytearray()


def count_octets(harness: InProcess, site: FolderSite) -> int:
    """Return for how much of `--cache-size` all that is kept is counted."""
    recalled_octets = sum(recall.octets for recall in harness.service.recalls.values() if recall)
    return site.catalogue.resources.files.octets + recalled_octets


def test_a_file_that_is_recalled_takes_few_octets_besides_its_content(
    tmp_path: Path, clock: HandClock
) -> None:
    (tmp_path / "folder").mkdir()
    for number in range(FILES):
        path = tmp_path / "folder" / f"file{number:04}.png"
        path.write_bytes(b"%04d" % number * (CONTENT_OCTETS // 4))
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with (
        FolderSite(tmp_path, clock) as site,
        InProcess(site.respond, clock=clock) as harness,
    ):
        peer = harness.connect(b"")
        ask(harness, peer, range(WARM))
        gc.collect()
        counted_octets = -count_octets(harness, site)
        tracemalloc.start()
        try:
            ask(harness, peer, range(WARM, FILES))
            # What is joined for the rest of a second is bounded by itself.
            harness.service.frames.begin(b"later")
            gc.collect()
            octets, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        counted_octets += count_octets(harness, site)
    assert octets / (FILES - WARM) - CONTENT_OCTETS < OCTETS_LIMIT
    # An allocator takes more than what is allocated: what was given back does not fit what comes next.
    assert octets * 5 / 4 < counted_octets < octets * 2
