"""Codings: what is made is what every client reads."""

import random

import pytest

from epollo.http.zstandard import WINDOW_OCTETS_LIMIT, parse_frame_header
from epollo.site.codings import CODINGS, Coding, encode_pieces
from epollo.site.pieces import HeldContent, read_pieces
from epollo.site.sidecars import find_fault

MEBIBYTE = 1024 * 1024


def make_content(octets: int) -> bytes:
    chance = random.Random(octets)
    words = [chance.randbytes(chance.randrange(1, 9)).hex().encode() for _ in range(500)]
    return b" ".join(chance.choices(words, k=octets // 2 + 1))[:octets]


def encode(coding: Coding, level: int, content: bytes) -> bytes:
    pieces = read_pieces(HeldContent(content))
    return b"".join(encode_pieces(coding, level, len(content), pieces))


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding.name.decode())
@pytest.mark.parametrize("octets", [0, 1, 300, 70_000, 3 * MEBIBYTE])
def test_every_client_reads_what_is_made(coding: Coding, octets: int) -> None:
    content = make_content(octets)
    levels = set(coding.effort) if octets < MEBIBYTE else {coding.effort.large}
    for level in levels:
        coded = encode(coding, level, content)
        assert find_fault(coding, HeldContent(coded), HeldContent(content)) is None


def test_no_frame_asks_for_more_window_than_clients_have() -> None:
    coding = next(coding for coding in CODINGS if coding.name == b"zstd")
    # Just over 8 MiB a single segment would be a window of its own (RFC 8878 section 3.1.1.1.2).
    for octets in (8 * MEBIBYTE, 8 * MEBIBYTE + 1, 20 * MEBIBYTE):
        for level in coding.effort:
            header = parse_frame_header(encode(coding, level, bytes(octets))[:18])
            assert header is not None
            assert header.window_octets <= WINDOW_OCTETS_LIMIT
            assert header.content_octets == octets
