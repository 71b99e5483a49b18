#!/usr/bin/env python3
"""Print the README's table of options; with --write, put it where the README has it.

The table is made from `epollo.settings`, as the command line is, so that neither can say what the
other does not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from epollo.quantities import format_octets
from epollo.settings import Option, describe_choices, list_options

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- options -->"
END = "<!-- /options -->"


def format_table() -> str:
    """Return the table as Markdown, with the lines that mark where it begins and ends."""
    rows = [format_row(option, default) for option, default in list_options().values()]
    return "\n".join([BEGIN, "| option | default | what it decides |", "|---|---|---|", *rows, END])


def format_row(option: Option, default: object) -> str:
    """Return the row of one option."""
    flags = ", ".join(
        f"`{flag}`" for given in option.flags for flag in given.replace("/", " / ").split(" / ")
    )
    if option.unit:
        flags += f" {option.unit}"
    manual = option.manual
    if option.choices:
        manual += f" One of {describe_choices(option.choices)}."
    shown = format_octets(default) if option.unit == "octets" else format_default(default)
    return f"| {flags} | {shown} | {manual.replace('|', chr(92) + '|')} |"


def format_default(default: object) -> str:
    """Return a default as a person reads it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, Path):
        return "the current folder" if default == Path() else f"`{default}`"
    if isinstance(default, int | float):
        return f"{default:g}" if default < 100_000 else f"{default:,}"
    return f"`{default}`" if default else ""


def replace_table(text: str) -> str:
    """Return the text of a README with the table as it has to be.

    Raises ValueError where the text lacks the marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN} and {END} are missing")
    return before + format_table() + after


def main() -> None:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="update README.md")
    if parser.parse_args().write:
        README.write_text(replace_table(README.read_text()))
    else:
        sys.stdout.write(format_table() + "\n")


if __name__ == "__main__":
    main()
