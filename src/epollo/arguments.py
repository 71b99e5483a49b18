"""Kinds of arguments, and manners of a command, that the command line library lacks."""

from collections.abc import Iterable

import click

from epollo.annotations import Any
from epollo.values import find_near, parse_cache_control, parse_quantity


class CacheControl(click.types.StringParamType):
    """What `parse_cache_control` reads."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word in lower case, or the value; fails where it is neither."""
        try:
            return parse_cache_control(str(value))
        except ValueError as mistake:
            self.fail(str(mistake), param, ctx)


class Quantity(click.types.FloatParamType):
    """A number within bounds: of octets or seconds, also with a unit, or of nothing (a whole number)."""

    name = "number"

    def __init__(self, minimum: float | None, maximum: float | None, unit: str = "") -> None:
        self._bounds = (minimum, maximum, unit)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fails where there is none, or one that is out of bounds."""
        try:
            return parse_quantity(value, *self._bounds)
        except ValueError as mistake:
            self.fail(str(mistake), param, ctx)


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
