r"""How the corpus writes octets: as the readable cases of the wire do (tests/cases/README.md).

A file holds seeds, with an empty line between two of them. A line that begins with ``#`` says why the
seed is there. The line ends of the file are not part of a seed: ``\r`` ``\n`` ``\t`` ``\\`` ``\xHH``
and ``\{a*300}`` (three hundred times ``a``) are how all others than visible octets are written.
"""

import re
from pathlib import Path

from properties.wire_cases import list_cases, parse_octets

_NAMED = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x5C: "\\\\"}
_LINE_END = re.compile(r"(?<=\\n)(?=.)")


def format_octets(octets: bytes) -> str:
    """Return octets as the corpus writes them, with a line for each of theirs."""
    text = "".join(
        _NAMED.get(octet) or (chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02X}")
        for octet in octets
    )
    # Space at the end of a line, or a ``#`` that begins one, would not be read back.
    lines = _LINE_END.split(text)
    return "\n".join(re.sub(r"^[# ]| $", _escape, line) for line in lines)


def _escape(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02X}"


def read_seeds(path: Path) -> list[bytes]:
    """Return the seeds of a file; raise AssertionError where one is not written as it should be."""
    seeds = []
    for block in path.read_text(encoding="ascii").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if lines:
            seeds.append(parse_octets("\n".join(lines)))
    return seeds


def list_requests() -> list[bytes]:
    """Return the requests of all readable cases of the wire."""
    return [case.request for case in list_cases()]
