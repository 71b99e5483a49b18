#!/usr/bin/env python3
"""Print each place where the project's text has a denied word; exit with status 1 if there is one.

The project writes like a man page: the subject is a named thing (client, connection, worker, file).
A denied word stands where such a name is missing.

- Of the source, `dev`, `bench`, `fuzz`, the pages, the cases of the wire and the section "Unreleased" of
  the changes, the whole text is read.
- Of tests, the names of functions and classes, the docstrings and the comments are read.
- Not read are this file, which has the list, and the two that have the text of the lessons: the lab's
  (`src/epollo/lab/words.py`) and the example's film (`dev/make_example.py`).
- ``nobody`` within quotation marks or backticks is the user of that name.
- ``whose`` is denied after a word for a person: a file whose name ends in .gz is a file.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
READ: Final = (
    *(("docs", "*.md"), ("src", "**/*.py"), ("dev", "*"), ("tests", "**/*.py")),
    *(("tests/cases", "*.md"), ("bench", "*.py"), ("bench", "*.md"), ("fuzz", "**/*.py")),
)
UNREAD: Final = ("dev/words.py", "dev/make_example.py", "src/epollo/lab/words.py")

_GAP: Final = r"(?:\s+(?:#\s+)?)"
_WORDS: Final = (
    *("who", "whoever", "whom", "whomever", "somebody", "someone", "anybody", "anyone"),
    *("everybody", "everyone", "no one", "so many", "in vain", "for good", "to be had"),
    *("go on", "goes on", "going on", "tell whether", "tells whether"),
    r"(?<![\"'`])nobody(?![\"'`])",
    r"(?:those|users?|persons?|people|visitors?|guests?|operators?) whose",
)
DENIED: Final = re.compile(
    rf"(?<![\w-])(?:{'|'.join(word.replace(' ', _GAP) for word in _WORDS)})(?![\w-])", re.IGNORECASE
)


def find_denied(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of the line and the words of each place where a text has what is denied."""
    for found in DENIED.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, re.sub(_GAP, " ", found[0])


def find_in_test(text: str) -> Iterator[tuple[int, str]]:
    """Yield the same for the names, docstrings and comments of a test file."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            for _, words in find_denied(token.string):
                yield token.start[0], words
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for _, words in find_denied(node.name.replace("_", " ")):
                yield node.lineno, words
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None and first is not None:
                for line, words in find_denied(docstring):
                    yield first.lineno + line - 1, words


def take_unreleased(text: str) -> str:
    """Return the changes up to the first version that was released; line numbers stay."""
    end = re.search(r"^## \[\d", text, re.MULTILINE)
    return text[: end.start()] if end else text


def find_in_project(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield every place of the project: its file below ``root``, its line and its words."""
    paths = [root / name for name in PAGES if (root / name).exists()]
    for folder, pattern in READ:
        paths += sorted(path for path in (root / folder).glob(pattern) if path.is_file())
    for path in paths:
        name = path.relative_to(root)
        if name.as_posix() in UNREAD:
            continue
        text = path.read_text()
        if name.parts[0] == "tests" and path.suffix == ".py":
            found = sorted(find_in_test(text))
        else:
            found = list(
                find_denied(take_unreleased(text) if path.name == "CHANGELOG.md" else text)
            )
        for line, words in found:
            yield name, line, words


def main() -> None:
    """Print what is found, a line for each place."""
    places = list(find_in_project(ROOT))
    for name, line, words in places:
        sys.stdout.write(f"{name}:{line}: {words}\n")
    sys.exit(1 if places else 0)


if __name__ == "__main__":
    main()
