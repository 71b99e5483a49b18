"""Kinds of arguments, and manners of a command, that the command line library lacks."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from epollo.http.caching import DIRECTIVES, is_cache_control
from epollo.http.grammar import parse_list
from epollo.quantities import format_octets, format_seconds, parse_octets, parse_seconds
from epollo.settings.option import CACHE_CONTROL_WORDS

_NEAR: Final = 0.72
"""How alike two words are (difflib's ratio) if one may be meant for the other: ``prot``, ``port``."""
_AS_NEAR: Final = 0.05
"""How much less alike than the nearest word another one may be."""


class CacheControl(click.types.StringParamType):
    """One of `CACHE_CONTROL_WORDS`, in any case, or a value of the field Cache-Control.

    A directive that is not known may be an extension (RFC 9111 section 5.2.3), but not if it is near one
    that is known: caches would do nothing, and say nothing.
    """

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word in lower case, or the value; fails where it is neither."""
        text = str(value).strip(" \t")
        if text.lower() in CACHE_CONTROL_WORDS:
            return text.lower()
        if not text.isascii() or not is_cache_control(text.encode("ascii")):
            self.fail(
                f"{value!r} is no value of Cache-Control, such as max-age=3600, nor "
                f"{' or '.join(CACHE_CONTROL_WORDS)}.",
                param,
                ctx,
            )
        for directive in parse_list(text.lower().encode("ascii")):
            name = directive.partition(b"=")[0].decode()
            if name not in DIRECTIVES and (near := find_near(name, DIRECTIVES)):
                self.fail(f"there is no directive {name}; is {near[0]} meant?", param, ctx)
        return text


class Quantity(click.types.FloatParamType):
    """A number within bounds: of octets or seconds, also with a unit, or of nothing (a whole number)."""

    name = "number"

    def __init__(self, minimum: float | None, maximum: float | None, unit: str = "") -> None:
        self._minimum = -math.inf if minimum is None else minimum
        self._maximum = math.inf if maximum is None else maximum
        self._parse, self._format, self._description = _QUANTITIES[unit]

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fails where there is none, or one that is out of bounds."""
        number = self._parse(value) if isinstance(value, str) else value
        if number is None:
            self.fail(f"{value!r} is not {self._description}.", param, ctx)
        # Of NaN neither is true.
        if not number >= self._minimum:
            self.fail(f"{value} is less than {self._format(self._minimum)}.", param, ctx)
        if not number <= self._maximum:
            self.fail(f"{value} is more than {self._format(self._maximum)}.", param, ctx)
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


class NearOptions(click.Command):
    """A command that names, for an option that it does not know, only those that are near it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; `click.UsageError` where they are wrong."""
        typed = list(args)
        flags = {
            flag
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            for flag in (*parameter.opts, *parameter.secondary_opts)
        }
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as mistake:
            name = mistake.option_name
            if near := _find_doubled(typed, flags):
                name = near[0].removeprefix("-")
            else:
                near = find_near(name, flags)
        except click.BadParameter:
            # -port 80 is read as -p ort.
            near = _find_doubled(typed, flags)
            if not near:
                raise
            name = near[0].removeprefix("-")
        meant = f" Is {' or '.join(near)} meant?" if near else ""
        raise click.UsageError(f"No such option: {name}.{meant}", ctx) from None


def _find_doubled(words: Iterable[str], flags: Iterable[str]) -> list[str]:
    """Return the long option of which one dash was typed, if any."""
    long = {flag.removeprefix("-") for flag in flags if flag.startswith("--")}
    return [f"-{name}" for word in words if (name := word.partition("=")[0]) in long][:1]
