r"""The readable cases of ``tests/cases``, read: see the README there for their notation."""

import re
from pathlib import Path
from typing import NamedTuple

CASES_PATH = Path(__file__).parents[1] / "cases"

_CASE = re.compile(
    r"^## (?P<title>.+?)\n\n(?P<why>.+?)\n\n```http\n(?P<request>.*?)```\n\n"
    r"(?P<outcome>(?:\d+\. [^\n]+\n)+)",
    re.MULTILINE | re.DOTALL,
)
_ITEM = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_STATUS = re.compile(r"(?P<status>\d{3})(?: to (?P<method>[A-Z]+))?")
_DETAIL = re.compile(
    r", (?:`(?P<name>[A-Za-z-]+): (?P<value>[^`]*)`|no `(?P<absent>[A-Za-z-]+)`"
    r"|content `(?P<content>[^`]*)`|(?P<empty>no content))"
)
_ESCAPE = re.compile(
    rb"\\(?:x(?P<octet>[0-9A-F]{2})|\{(?P<repeated>[^{}]+)\*(?P<times>\d+)\}|(?P<letter>[rnt\\]))"
)
_LETTERS = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


class Expected(NamedTuple):
    """What one answer must and must not be."""

    status: int
    method: str
    fields: tuple[tuple[bytes, bytes], ...]
    absent: tuple[bytes, ...]
    content: bytes | None


class WireCase(NamedTuple):
    """One case; ``ending`` is closed, open or waits."""

    name: str
    request: bytes
    answers: tuple[Expected, ...]
    ending: str

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(expected.method for expected in self.answers)


def parse_octets(text: str) -> bytes:
    """Return the octets that a block stands for."""
    shown = text.replace("\n", "").encode("ascii")
    assert b"\\" not in _ESCAPE.sub(b"", shown), f"an unknown escape in {text!r}"
    return _ESCAPE.sub(_unescape, shown)


def _unescape(found: re.Match[bytes]) -> bytes:
    if found["octet"]:
        return bytes.fromhex(found["octet"].decode())
    if found["repeated"]:
        return _ESCAPE.sub(_unescape, found["repeated"]) * int(found["times"])
    return _LETTERS[found["letter"]]


def parse_expected(text: str) -> Expected:
    """Read an item of a case's numbered list."""
    status = _STATUS.match(text)
    assert status is not None, text
    position = status.end()
    fields: list[tuple[bytes, bytes]] = []
    absent: list[bytes] = []
    content: bytes | None = None
    while position < len(text):
        detail = _DETAIL.match(text, position)
        assert detail is not None, text[position:]
        position = detail.end()
        if detail["name"]:
            fields.append((detail["name"].encode(), detail["value"].encode()))
        elif detail["absent"]:
            absent.append(detail["absent"].encode())
        else:
            content = b"" if detail["empty"] else parse_octets(detail["content"])
    return Expected(
        int(status["status"]), status["method"] or "GET", tuple(fields), tuple(absent), content
    )


def parse_cases(text: str, topic: str) -> list[WireCase]:
    """Return the cases of one file; every heading of the second level must be one."""
    cases = []
    for found in _CASE.finditer(text):
        *answers, ending = _ITEM.findall(found["outcome"])
        assert ending in {"closed", "open", "waits"}, (topic, found["title"], ending)
        cases.append(
            WireCase(
                f"{topic}: {found['title']}",
                parse_octets(found["request"]),
                tuple(map(parse_expected, answers)),
                ending,
            )
        )
    assert len(cases) == text.count("\n## "), f"{topic}: a case is not written as the README says"
    return cases


def list_cases() -> list[WireCase]:
    """Return every case there is."""
    return [
        case
        for path in sorted(CASES_PATH.glob("*.md"))
        if path.name != "README.md"
        for case in parse_cases(path.read_text(encoding="ascii"), path.stem)
    ]
