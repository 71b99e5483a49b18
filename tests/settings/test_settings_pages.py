"""Every option that a page names is one that there is."""

import re
from pathlib import Path

import pytest

from epollo.settings import list_options

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md")))
OTHERS = {"--config", "--help", "--manual", "--version", "--header", "--json", "--quick", "--html"}


def list_flags() -> set[str]:
    flags = {
        flag
        for option, _ in list_options().values()
        for one in option.flags
        for flag in one.split("/")
    }
    return flags | OTHERS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_of_a_page_has_options_that_there_are(page: Path) -> None:
    commands = re.findall(r"(?:^    |`)epollo (?!lab)([^`\n]*)", page.read_text(), re.MULTILINE)
    named = {
        flag for command in commands for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", command)
    }
    assert named <= list_flags()


def test_what_stands_for_an_option_of_another_server_is_there() -> None:
    rows = re.findall(
        r"^\|[^|]+\|([^|]+)\|$", (ROOT / "docs" / "moving.md").read_text(), re.MULTILINE
    )
    named = {flag for row in rows for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", row)}
    assert len(named) > 20
    assert named <= list_flags()
