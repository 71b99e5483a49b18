#!/usr/bin/env python3
"""Print the tables of options; with --write, put them into docs/reference.md.

The tables and the command line are made from `epollo.settings`, so they agree.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from epollo.settings import list_options
from epollo.settings.option import GROUPS, Option, describe_choices, describe_default

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
BEGIN = "<!-- options -->"
END = "<!-- /options -->"


def format_tables() -> str:
    """Return a table for each group as Markdown, between the marks of their place."""
    lines = [BEGIN]
    for group in GROUPS:
        lines += [f"### {group}", "", "| option | default | what it does |", "|---|---|---|"]
        lines += [
            format_row(option, default)
            for option, default in list_options().values()
            if option.group == group
        ]
        lines.append("")
    lines[-1] = END
    return "\n".join(lines)


def format_row(option: Option, default: object) -> str:
    """Return the row of one option."""
    flags = ", ".join(
        f"`{flag}`" for given in option.flags for flag in given.replace("/", " / ").split(" / ")
    )
    if option.unit:
        flags += f" {option.unit.replace('octets', 'bytes')}"
    manual = option.manual
    if option.choices:
        manual += f" One of {describe_choices(option.choices)}."
    default_text = describe_default(option, default)
    return f"| {flags} | {default_text} | {manual.replace('|', chr(92) + '|')} |"


def replace_tables(text: str) -> str:
    """Return a text with its tables made current.

    Raises ValueError where the text lacks the marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN} and {END} are missing")
    return before + format_tables() + after


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="update docs/reference.md")
    if parser.parse_args().write:
        REFERENCE.write_text(replace_tables(REFERENCE.read_text()))
    else:
        sys.stdout.write(format_tables() + "\n")


if __name__ == "__main__":
    main()
