"""Kinds of arguments that the command line library lacks."""

import math
from typing import Any

import click


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
