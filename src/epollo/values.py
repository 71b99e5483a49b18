"""What the values of options mean, as an operator writes them; what is wrong is a `ValueError`."""

import math
import re
from collections.abc import Callable, Iterable, Sequence

from epollo.annotations import Any, Final
from epollo.http.caching import DIRECTIVES, is_cache_control
from epollo.http.grammar import parse_list
from epollo.quantities import format_octets, format_seconds, parse_octets, parse_seconds
from epollo.settings.option import CACHE_CONTROL_WORDS, Option, describe_choices

_NEAR: Final = 0.72
"""How alike two words are (difflib's ratio) if one may be meant for the other: ``prot``, ``port``."""
_AS_NEAR: Final = 0.05
"""How much less alike than the nearest word another one may be."""


def parse_value(option: Option, default: Any, value: float | str) -> Any:
    """Return the value of an option from what is given; one value, if the option may have several.

    Raises `ValueError`, with a reason for the operator, where there can be no such value.
    """
    if option.is_cache_control:
        return parse_cache_control(str(value))
    if option.choices:
        return parse_choice(str(value), option.choices)
    if isinstance(default, int | float):
        return parse_quantity(value, option.minimum, option.maximum, select_unit(option))
    return value


def parse_cache_control(text: str) -> str:
    """Return one of `CACHE_CONTROL_WORDS`, in lower case, or a value of the field Cache-Control.

    A directive that is not known may be an extension (RFC 9111 section 5.2.3). If it is near a known
    one, it is taken for a mistake, which caches would silently ignore. Raises `ValueError` with the
    reason.
    """
    value = text.strip(" \t")
    if value.lower() in CACHE_CONTROL_WORDS:
        return value.lower()
    if not value.isascii() or not is_cache_control(value.encode("ascii")):
        words = " or ".join(CACHE_CONTROL_WORDS)
        raise ValueError(
            f"{text!r} is no value of Cache-Control, such as max-age=3600, nor {words}."
        )
    for directive in parse_list(value.lower().encode("ascii")):
        name = directive.partition(b"=")[0].decode()
        if name not in DIRECTIVES and (near := find_near(name, DIRECTIVES)):
            raise ValueError(f"there is no directive {name}; is {near[0]} meant?")
    return value


def parse_choice(text: str, choices: Sequence[str]) -> str:
    """Return the choice that a text names, in upper or lower case. Raises `ValueError` for any other."""
    word = text.casefold()
    for choice in choices:
        if choice.casefold() == word:
            return choice
    raise ValueError(f"{text!r} is not one of {describe_choices(choices)}.")


def select_unit(option: Option) -> str:
    """Return what a number counts: ``octets``, ``seconds``, or nothing."""
    unit = option.unit.partition("/")[0]
    return "" if unit == "number" else unit


def parse_quantity(
    value: float | str, minimum: float | None, maximum: float | None, unit: str = ""
) -> float:
    """Return a number within bounds: octets or seconds, also given with a unit, or a whole number.

    Raises `ValueError` with the reason, for anything else.
    """
    parse, format_number, description = _QUANTITIES[unit]
    number = parse(value) if isinstance(value, str) else value
    if number is None:
        raise ValueError(f"{value!r} is not {description}.")
    least = -math.inf if minimum is None else minimum
    most = math.inf if maximum is None else maximum
    # Of NaN neither is true.
    if not number >= least:
        raise ValueError(f"{value} is less than {format_number(least)}.")
    if not number <= most:
        raise ValueError(f"{value} is more than {format_number(most)}.")
    return number


def _parse_whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text, re.ASCII) else None


_QUANTITIES: Final[dict[str, tuple[Callable[[str], float | None], Callable[[float], str], str]]] = {
    "": (_parse_whole, str, "a whole number"),
    "octets": (parse_octets, format_octets, "a size, such as 65536, 64k, 256M or 1GiB"),
    "seconds": (parse_seconds, format_seconds, "a duration, such as 500ms, 10s, 5m, 1h or 1d"),
}


def find_near(word: str, words: Iterable[str]) -> list[str]:
    """Return the words, longer than a letter, that an unknown one may be meant for.

    The dashes of options are left out of account: they would make all options alike.
    """
    # For a mistake alone.
    from difflib import SequenceMatcher  # noqa: PLC0415

    name = word.lstrip("-").replace("_", "-").lower()
    alike = {
        each: SequenceMatcher(None, name, each.lstrip("-")).ratio()
        for each in sorted(words)
        if len(each.lstrip("-")) > 1
    }
    least = max(_NEAR, max(alike.values(), default=0) - _AS_NEAR)
    return [each for each, ratio in alike.items() if ratio >= least]
