"""What the command line understands beyond its library, and what it takes a mistake for."""

from typing import Any

import click
import pytest

from epollo.arguments import NearOptions, OctetsRange, SecondsRange, find_near


@pytest.mark.parametrize(
    ("kind", "value", "converted"),
    [
        (OctetsRange(0, 2**20), "64k", 65536),
        (OctetsRange(0, 2**20), 100, 100),
        (SecondsRange(1, 3600), "2m", 120.0),
        (SecondsRange(1, 3600), 75, 75.0),
        (SecondsRange(1, 3600), "1e1", 10.0),
    ],
)
def test_a_quantity_with_a_unit_or_without(kind: Any, value: object, converted: float) -> None:
    assert kind.convert(value, None, None) == converted


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (OctetsRange(0, 2**20), "much", "'much' is not a size, such as 65536, 64k, 256M or 1GiB"),
        (OctetsRange(0, 2**20), "1.5k", "'1.5k' is not a size"),
        (OctetsRange(0, 2**20), "2M", "2097152 is not in the range"),
        (OctetsRange(0, 2**20), "-1", "-1 is not in the range"),
        (SecondsRange(1, 3600), "soon", "'soon' is not a duration, such as 10, 500ms, 10s or 5m"),
        (SecondsRange(1, 3600), "2h", "7200.0 is not in the range"),
        (SecondsRange(1, 3600), "nan", "nan is not a number"),
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
