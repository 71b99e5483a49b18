"""Sizes and durations as an operator writes them: ``256M``, ``1GiB``; ``10s``, ``500ms``."""

import re

from epollo.annotations import Final
from epollo.patterns import compile_late

MEBIBYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400

_SIZE: Final = compile_late(r"([0-9]{1,20}) ?(?:([kmgt])(i?b)?|b)?", re.IGNORECASE)
_POWERS: Final[dict[str, int]] = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION: Final = compile_late(r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?(ms|s|min|m|h|d)?")
_SECONDS: Final = {"ms": 0.001, "": 1, "s": 1, "min": 60, "m": 60, "h": 3600, "d": DAY_SECONDS}


def parse_octets(text: str) -> int | None:
    """Return how many octets a size means; None if it is none.

    As in the GNU tools, ``k`` and ``KiB`` count 1,024s, and ``kB`` counts 1,000s; case does not matter.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    number, unit, ending = found.groups(default="")
    factor = 1000 if ending.lower() == "b" else 1024
    octets: int = factor ** _POWERS[unit.lower()]
    return int(number) * octets


def parse_seconds(text: str) -> float | None:
    """Return how many seconds a duration means; None if it is none."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    number, unit = found.groups(default="")
    return float(number) * _SECONDS[unit]


def format_octets(number: float) -> str:
    """Return a size as an operator writes it: with the largest unit that leaves no remainder."""
    for unit in "TGMk":
        factor = 1024 ** _POWERS[unit.lower()]
        if number and number % factor == 0:
            return f"{number // factor:.0f}{unit}"
    return str(number)


def format_seconds(number: float) -> str:
    """Return a duration as an operator writes it: with the largest unit that leaves no remainder."""
    for unit in "dhm":
        if number and number % _SECONDS[unit] == 0:
            return f"{number / _SECONDS[unit]:.0f}{unit}"
    return f"{number:g}s"
