"""What the manual says of rules and paths is true: each row of its tables is asked for."""

import re
from pathlib import Path

import brotli
import pytest

from site_grounds import Ground, write_names

MANUAL = Path(__file__).parents[3] / "docs" / "rules.md"
FILES = (
    "index.html", "about.html", "closed.html", "404.html", "page.html", "blog/index.html",
    "blog/404.html", "blog/post.html", "downloads/file", ".well-known/apple-app-site-association",
)  # fmt: skip

_SECTION = re.compile(r"^## ", re.MULTILINE)
_RULES = re.compile(r"```text\n# (_headers|_redirects)\n(.*?)```", re.DOTALL)
_ROW = re.compile(r"^\| `(/[^`]*)` \| (\d{3})(.*) \|$", re.MULTILINE)
_CLAIM = re.compile(r" to `([^`]+)`|, content of `([^`]+)`|, no `([^`]+)`|, `([\w-]+): ([^`]+)`")


def list_rows() -> list[tuple[str, str, str]]:
    """Return the rule files of a section, and each row of its table."""
    return [
        (section, found[1], found[0])
        for section in _SECTION.split(MANUAL.read_text())
        for found in _ROW.finditer(section)
    ]


@pytest.mark.parametrize(
    ("section", "target", "row"), list_rows(), ids=lambda text: text if len(text) < 60 else ""
)
def test_a_row_of_the_manual_is_true(tmp_path: Path, section: str, target: str, row: str) -> None:
    write_names(tmp_path, *FILES)
    (tmp_path / "Build").mkdir()
    (tmp_path / "Build" / "game.wasm.br").write_bytes(brotli.compress(b"content"))
    (tmp_path / "Build" / "plain.gz").write_text("plain")
    for name, text in _RULES.findall(section):
        (tmp_path / name).write_text(text)
    found = _ROW.match(row)
    assert found is not None
    status, claims = int(found[2]), found[3]
    with Ground(tmp_path) as ground:
        answer = ground.ask(target)
        assert not ground.reports
    assert answer.status == status
    rest = claims
    for location, content, absent, name, value in _CLAIM.findall(claims):
        if location:
            assert answer.fields["location"] == location
        elif content:
            assert answer.content == content.encode()
        elif absent:
            assert absent.lower() not in answer.fields
        else:
            assert answer.fields[name.lower()] == value
    assert not _CLAIM.sub("", rest), "a claim that is not tried"


def test_there_are_rows() -> None:
    assert len(list_rows()) > 20
    assert len(_RULES.findall(MANUAL.read_text())) == 3
