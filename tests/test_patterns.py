"""Regular expressions: every engine that is supported reads each of them alike."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import epollo
from epollo.patterns import compile_late

SOURCE = Path(epollo.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(epollo.__path__, "epollo.")
    if not module.name.endswith(".__main__")
)
# Up to 3.11.4, CPython reads these wrongly where their group goes back (its issue 106052). What repeats
# one set of characters is another operation, POSSESSIVE_REPEAT_ONE.
MISREAD = re.compile(r"^ *\d+[.:] +(?:POSSESSIVE_REPEAT|ATOMIC_GROUP)\b", re.MULTILINE)
# The same as it is written.
MISREAD_TEXT = re.compile(r"\)(?:[*+?]|\{[0-9,]*\})\+|\(\?>")


def list_patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    late = type(compile_late(""))
    for name in MODULES:
        for key, value in vars(importlib.import_module(name)).items():
            if isinstance(value, re.Pattern | late):
                yield f"{name}.{key}", value


def is_misread(pattern: str | bytes, flags: int, capsys: pytest.CaptureFixture[str]) -> bool:
    """Return whether an old engine may match a pattern wrongly, by the operations that it becomes."""
    capsys.readouterr()
    re.compile(pattern, flags | re.DEBUG)
    operations = capsys.readouterr().out
    assert re.search(r"^ *\d+[.:] +SUCCESS", operations, re.MULTILINE), "operations are shown"
    return MISREAD.search(operations) is not None


@pytest.mark.parametrize(
    ("pattern", "misread"),
    [
        (rb"[a-z]++", False),
        (rb"a*+b{1,3}+", False),
        (rb"(?:a++|b)+", False),
        (rb"([a-z]?+)", False),
        (rb"(?:;q=.*)?+", True),
        (rb"(?:a|bc)++", True),
        (rb"(ab){2,3}+", True),
        (rb"([a-z])?+", True),
        (rb"x(?:y(?:zz)*+)*", True),
        (rb"(?>a|b)c", True),
    ],
)
def test_what_is_misread(pattern: bytes, misread: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_misread(pattern, 0, capsys) == misread
    assert (MISREAD_TEXT.search(pattern.decode()) is not None) == misread


def test_no_pattern_is_misread(capsys: pytest.CaptureFixture[str]) -> None:
    patterns = dict(list_patterns())
    assert {"epollo.http.grammar.TOKEN", "epollo.http.dates._IMF_FIXDATE"} <= patterns.keys()
    assert len(patterns) > 90
    found = [
        name
        for name, pattern in patterns.items()
        if is_misread(pattern.pattern, pattern.flags & ~re.UNICODE, capsys)
    ]
    assert not found


def list_written_patterns(path: Path) -> Iterator[str]:
    """Yield the text of each pattern that a module hands to ``re``, without its sets of characters."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if not ast.unparse(node.func).startswith(("re.", "compile_late")):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
                value = part.value
                text = value if isinstance(value, str) else value.decode("latin-1")
                yield re.sub(r"\[(?:\\.|[^]\\])+\]", "[]", text, flags=re.DOTALL)


def test_no_pattern_is_written_that_is_misread() -> None:
    """Those that a function makes are not among the patterns of modules."""
    written = {
        str(path.relative_to(SOURCE)): list(list_written_patterns(path))
        for path in sorted(SOURCE.rglob("*.py"))
    }
    assert len(written["access_log/formats.py"]) > 3
    found = [
        (name, text)
        for name, texts in written.items()
        for text in texts
        if MISREAD_TEXT.search(text)
    ]
    assert not found


def test_a_pattern_that_is_compiled_late_is_as_any_other() -> None:
    late, pattern = compile_late(rb"(A)|b", re.IGNORECASE), re.compile(rb"(A)|b", re.IGNORECASE)
    assert (late.pattern, late.flags, late.groups) == (pattern.pattern, pattern.flags, 1)
    for _ in range(2):
        assert late.fullmatch(b"a")
        assert late.fullmatch(b"B")
        assert not late.fullmatch(b"ab")
    assert late.sub(b"-", b"xaby") == b"x--y"
    assert late.findall(b"xaby") == [b"a", b""]
    with pytest.raises(AttributeError):
        late.undo  # type: ignore[attr-defined] # noqa: B018
