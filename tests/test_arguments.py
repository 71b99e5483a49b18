"""What the command line understands beyond its library, and what it takes a mistake for."""

import math
from typing import Any

import click
import pytest

from epollo.arguments import NearOptions, Quantity
from epollo.values import find_near

SIZE = Quantity(0, 2**20, "octets")
DURATION = Quantity(1, 3600, "seconds")
NUMBER = Quantity(1, None)


@pytest.mark.parametrize(
    ("kind", "value", "converted"),
    [
        (SIZE, "64k", 65536),
        (SIZE, 100, 100),
        (DURATION, "2m", 120.0),
        (DURATION, 75, 75.0),
        (NUMBER, "100000000000", 100_000_000_000),
    ],
)
def test_a_quantity_with_a_unit_or_without(kind: Any, value: object, converted: float) -> None:
    assert kind.convert(value, None, None) == converted


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (SIZE, "much", "'much' is not a size, such as 65536, 64k, 256M or 1GiB."),
        (SIZE, "1.5k", "'1.5k' is not a size, such as 65536, 64k, 256M or 1GiB."),
        (SIZE, "2M", "2M is more than 1M."),
        (SIZE, -1, "-1 is less than 0."),
        (DURATION, "soon", "'soon' is not a duration, such as 500ms, 10s, 5m, 1h or 1d."),
        (DURATION, "2h", "2h is more than 1h."),
        (DURATION, "500ms", "500ms is less than 1s."),
        (DURATION, math.nan, "nan is less than 1s."),
        (DURATION, math.inf, "inf is more than 1h."),
        (NUMBER, "1.5", "'1.5' is not a whole number."),
        (NUMBER, "-1", "-1 is less than 1."),
        (
            NUMBER,
            "\N{ARABIC-INDIC DIGIT ONE}",
            "'\N{ARABIC-INDIC DIGIT ONE}' is not a whole number",
        ),
    ],
)
def test_a_quantity_that_cannot_be(kind: Any, value: object, reason: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(value, None, None)
    assert refused.value.message.startswith(reason)


FLAGS = ("--port", "-p", "--host", "--poller", "--proxy-from", "--compress", "--no-compress",
         "--recall", "--idle-timeout", "--send-timeout", "--max-head", "--quiet", "-q")  # fmt: skip


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("--prot", ["--port"]),
        ("--ports", ["--port"]),
        ("--hots", ["--host"]),
        ("--Port", ["--port"]),
        ("--max_head", ["--max-head"]),
        ("--no-compres", ["--no-compress"]),
        ("--colour", []),
        ("--timeout", ["--idle-timeout", "--send-timeout"]),
        ("--fast", []),
        ("--p", []),
        ("--max", []),
        ("--pr", []),
        ("--xyzzy", []),
        ("-Z", []),
    ],
)
def test_only_what_is_near_is_meant(word: str, near: list[str]) -> None:
    assert find_near(word, FLAGS) == near


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prot", "1"], "No such option: --prot. Is --port meant?"),
        (["--fast"], "No such option: --fast."),
        (["-Z"], "No such option: -Z."),
        (["-port", "1"], "No such option: -port. Is --port meant?"),
        (["-port=1"], "No such option: -port. Is --port meant?"),
        (["-quiet"], "No such option: -quiet. Is --quiet meant?"),
    ],
)
def test_an_option_that_is_not_known(words: list[str], message: str) -> None:
    options = [
        click.Option(["--port", "-p"], type=int),
        click.Option(["--host"]),
        click.Option(["--quiet", "-q"], is_flag=True),
    ]
    with pytest.raises(click.UsageError) as refused:
        NearOptions("command", params=[*options]).make_context("command", words)
    assert refused.value.format_message() == message
