"""Sizes and durations as an operator writes them."""

import pytest

from epollo.quantities import format_octets, format_seconds, parse_octets, parse_seconds


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0", 0),
        ("65536", 65536),
        ("1b", 1),
        ("64k", 65536),
        ("64K", 65536),
        ("10m", 10 * 1024**2),
        ("256M", 256 * 1024**2),
        ("256 MiB", 256 * 1024**2),
        ("1GiB", 1024**3),
        ("1gib", 1024**3),
        ("2T", 2 * 1024**4),
        ("1kB", 1000),
        ("1GB", 1000**3),
        ("much", None),
        ("", None),
        ("M", None),
        ("-1k", None),
        ("1.5G", None),
        ("1KM", None),
        ("1x", None),
        ("1iB", None),
        ("\u0661k", None),
        ("1" * 5000, None),
    ],
)
def test_a_size(text: str, octets: int | None) -> None:
    assert parse_octets(text) == octets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("10s", 10),
        ("10 s", 10),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("2m", 120),
        ("2min", 120),
        ("1h", 3600),
        ("1d", 86_400),
        ("soon", None),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("1M", None),
        ("1s1s", None),
        ("inf", None),
    ],
)
def test_a_duration(text: str, seconds: float | None) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("number", [0, 1, 1000, 1024, 8192, 32768, 1536, 1024**2, 268_435_456])
def test_what_is_shown_is_read_again(number: int) -> None:
    assert parse_octets(format_octets(number)) == number


def test_the_largest_unit_without_a_remainder_is_shown() -> None:
    assert [format_octets(each) for each in (8192, 1536, 1024**2, 5)] == ["8k", "1536", "1M", "5"]


def test_a_duration_is_shown_with_the_largest_unit_without_a_remainder() -> None:
    shown = [format_seconds(each) for each in (86_400.0, 3600, 75, 0.5, 0)]
    assert shown == ["1d", "1h", "75s", "0.5s", "0s"]
