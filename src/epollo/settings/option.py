"""What is known of an option in addition to its type: flags, manual, group, bounds."""

from collections.abc import Sequence

from epollo.annotations import Any, Final
from epollo.named_tuples import NamedTuple
from epollo.quantities import format_octets, format_seconds

GROUPS: Final = (
    "Serving",
    "Addresses",
    "TLS",
    "Workers",
    "Logs",
    "Access",
    "Caching and compression",
    "Timeouts",
    "Limits",
    "Behind a proxy",
    "For developers",
)
"""The sections of ``--help``, in their order."""

CACHE_CONTROL_WORDS: Final = ("auto", "none")


class Option(NamedTuple):
    """How a setting is shown to the operator.

    ``flags`` are what may be typed, the first of them the name; ``group`` is one of `GROUPS`; ``unit``
    is what a number counts, or the kind of a text. ``is_cache_control`` is whether a text is one of
    `CACHE_CONTROL_WORDS` or a value of Cache-Control. ``zero`` is what a default of 0 stands for.
    """

    flags: tuple[str, ...]
    manual: str
    group: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    is_cache_control: bool = False
    zero: str = ""


class Default(NamedTuple):
    """What stands for a setting in its class: its default, and how it is typed."""

    value: Any
    option: Option


def option(default: Any, *flags: str, manual: str, group: str, **more: Any) -> Any:
    """Return a field of a `Record` that can be typed; ``more`` is of `Option`."""
    return Default(default, Option(flags, manual, group, **more))


def describe_choices(choices: Sequence[str]) -> str:
    """Return choices as text; of more than three numbers, the first and the last."""
    words = [choice for choice in choices if not choice.isdigit()]
    numbers = [choice for choice in choices if choice.isdigit()]
    if len(numbers) > 3:
        numbers = [f"{numbers[0]} to {numbers[-1]}"]
    return ", ".join(words + numbers)


def describe_default(option: Option, default: Any) -> str:
    """Return a default as the operator writes it; an empty text if there is none."""
    if isinstance(default, bool):
        return "on" if default else ""
    if option.unit == "folder":
        return "the current one"
    if isinstance(default, tuple):
        return ", ".join(default)
    if option.zero:
        return f"0: {option.zero}"
    if option.unit.startswith("octets"):
        return format_octets(default)
    return format_seconds(default) if option.unit == "seconds" else str(default)
