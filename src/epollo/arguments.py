"""Kinds of arguments that the command line library lacks."""

import math
from typing import Any

import click

from epollo.http.caching import is_cache_control
from epollo.settings import CACHE_CONTROL_WORDS


class FiniteRange(click.FloatRange):
    """A range of floats without NaN, which is never out of any range."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fails where there is none."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


class CacheControl(click.types.StringParamType):
    """One of `CACHE_CONTROL_WORDS`, in any case, or a value of the field Cache-Control."""

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
        return text
