"""A command line that is read without the library means what the library says that it means."""

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from epollo.command_line import read_command_line
from epollo.errors import OperatorError
from epollo.given import Given, read_plain
from epollo.settings import list_options

FLAGS = [
    flag
    for option, _ in list_options().values()
    for flags in option.flags
    for flag in flags.split("/")
]
VALUES = ["", "-", "--", "80", "-1", "0", "1.5", "64k", "10s", "on", "AUTO", "off", "max-age=60",
          "x", "a=b", "0xff", "--port", "-q", "\u0661", "no-store, maxage=1"]  # fmt: skip
WORD = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from(VALUES),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
    st.builds("{}{}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
    st.sampled_from(["--help", "-h", "--version", "--manual", "--por", "-pq"]),
)


def read_by_library(argv: list[str]) -> Given | None:
    """Return what the library reads; None where it refuses it or prints a text."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return read_command_line(argv)
        except OperatorError:
            return None


@given(st.lists(WORD, max_size=6))
@example(["--host", "-"])
@example(["--tls-cert", "a", "--tls-cert", "b", "--tls-key=c"])
@example(["--no-recall", "--recall"])
@example(["-p", "80", "--port=81"])
@example(["--listing", "ON", "site"])
@example(["-p=80"])
@example(["--quiet=1"])
@example(["--", "--port"])
def test_what_is_read_without_the_library_is_what_it_reads(argv: list[str]) -> None:
    plain = read_plain(argv)
    if plain is not None:
        read = read_by_library(argv)
        assert read is not None
        root = read.values["root"]
        assert plain == read._replace(values=read.values | {"root": str(root)})


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["site", "8000"],
        ["-d", "site", "-b", "0.0.0.0", "-p", "0", "-q"],
        ["--workers", "auto", "--sandbox=on", "--cache-size", "1GiB", "--idle-timeout", "5s"],
        ["--cache-control", "public, max-age=60", "--media-type", "a=text/plain"],
        ["--access-log", "-", "--no-compress"],
    ],
)
def test_a_common_command_line_takes_no_library(argv: list[str]) -> None:
    assert read_plain(argv) is not None


@pytest.mark.parametrize(
    "argv",
    [["--help"], ["-V"], ["--prot", "1"], ["--port"], ["--port", "x"], ["--listing", "maybe"]],
)
def test_the_library_says_what_is_wrong_and_what_there_is(argv: list[str]) -> None:
    assert read_plain(argv) is None


def test_a_settings_file_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("port = 80\ncache-size = '1M'\nlisting = 'ON'\ntls-cert = 'a'\nquiet = true\n")
    argv = ["--config", str(path), "--port", "81"]
    plain = read_plain(argv)
    assert plain is not None
    read = read_command_line(argv)
    assert read is not None
    assert plain == read._replace(values=read.values | {"root": "."})
    assert [plain.is_in_file(name) for name in ("port", "listing", "host")] == [False, True, False]
