"""The command line as click knows it: settings as options, and a help with a section for each group."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from epollo.arguments import CacheControl, NearOptions, Quantity
from epollo.errors import OperatorError
from epollo.settings import list_options
from epollo.settings.option import GROUPS, Option, describe_choices, describe_default
from epollo.terminal import print_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MEANT: Final = frozenset(("help", "manual", "version"))
_ENDS: Final = (". ", ", for example", "; ", ": ")


class _Choice(click.Choice[str]):
    """One of some words, in any case, or of many numbers, which are not all listed."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices, case_sensitive=False)

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ARG002
        return f"{value!r} is not one of {describe_choices(self.choices)}."


class _Name(click.types.StringParamType):
    """The name of a file or of a folder, which a shell can complete."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem]":
        """Have the shell complete it; ``kind`` is ``file`` or ``dir``."""
        # For a shell alone.
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        return [CompletionItem(incomplete, type=self._kind)]


FOLDER_NAME: Final = _Name("dir")
FILE_NAME: Final = _Name("file")


class GroupedCommand(NearOptions):
    """A command whose help has a section for each group of options.

    ``--help`` shows the first clause of each manual, ``--manual`` all of it. If it cannot be printed,
    one line on stderr says so.
    """

    is_whole = False
    """Whether manuals are shown whole."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group; those that are no settings last."""
        options = list_options()
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in (*GROUPS, "Other")}
        for parameter in self.get_params(ctx):
            if not isinstance(parameter, click.Option):
                continue
            record = parameter.get_help_record(ctx)
            if record is not None and parameter.name in options:
                option, default = options[parameter.name]
                shown = describe_default(option, default)
                ending = f"  [default: {shown}]" if shown else ""
                manual = option.manual if self.is_whole else summarize(option.manual)
                rows[option.group].append((record[0], manual + ending))
            elif record is not None:
                rows["Other"].append(record)
        for group, records in rows.items():
            with formatter.section(group):
                formatter.write_dl(records, col_max=26)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option --help."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def summarize(text: str) -> str:
    """Return the first clause of a manual: what follows is an example, a condition or an exception."""
    ends = [end for mark in _ENDS if (end := text.find(mark)) >= 0]
    return text[: min(ends)] + "." if ends else text


def make_parameter(name: str, option: Option, default: Any) -> click.Option:
    """Return what the command line library needs to know of one setting."""
    kind: Any = type(default)
    if option.is_cache_control:
        kind = CacheControl()
    elif option.choices:
        kind = _Choice(option.choices)
    elif isinstance(default, bool):
        return click.Option(
            [*option.flags, name],
            is_flag=True,
            default=default,
            help=option.manual,
        )
    elif isinstance(default, int | float):
        unit = option.unit.partition("/")[0]
        kind = Quantity(option.minimum, option.maximum, "" if unit == "number" else unit)
    elif option.unit in {"folder", "file", "path"}:
        kind = FOLDER_NAME if option.unit == "folder" else FILE_NAME
    elif isinstance(default, tuple):
        kind = str
    return click.Option(
        [*option.flags, name],
        type=kind,
        multiple=isinstance(default, tuple),
        callback=_refuse_empty,
        default=default,
        metavar=option.unit.replace("octets", "bytes").upper() or None,
        help=option.manual,
    )


def resolve_positional(settings: dict[str, Any], words: tuple[str, ...]) -> None:
    """Take what stands without a flag: a folder, or a port as ``python -m http.server`` has it.

    Raises `OperatorError` where there are two, with a flag or without, that are not the same.
    """
    folders, ports = _list_typed("root", settings), _list_typed("port", settings)
    for word in words:
        if word.isascii() and word.isdigit() and not _is_folder(word):
            if len(word.lstrip("0")) > 5 or int(word) > 65535:
                raise OperatorError(f"{word} is neither a folder nor a port (0 to 65535)")
            ports.append(word)
        else:
            folders.append(word)
    if len(set(folders)) > 1:
        raise OperatorError(f"only one folder can be served, not {' and '.join(folders)}")
    if len(set(ports)) > 1:
        raise OperatorError(f"only one port can be given, not {' and '.join(ports)}")
    if ports:
        settings["port"] = int(ports[0])
    if folders:
        settings["root"] = folders[0]
        _refuse_option(folders[0])
    if not os.fspath(settings["root"]):
        raise OperatorError("the name of the folder is empty")
    settings["root"] = Path(settings["root"])


def _refuse_option(word: str) -> None:
    """Refuse the name of an option that was typed as a command, unless a folder has it: ``help``."""
    if word in _MEANT and not _is_folder(word):
        raise OperatorError(f"there is no folder {word}; is --{word} meant?", "root")


def _list_typed(name: str, settings: dict[str, Any]) -> list[str]:
    """Return the value that was typed with the flag of a setting, if any."""
    source = click.get_current_context().get_parameter_source(name)
    return [str(settings[name])] if source is ParameterSource.COMMANDLINE else []


def _is_folder(word: str) -> bool:
    try:
        return Path(word).is_dir()
    except OSError:
        # Longer than a name may be.
        return False


def _refuse_empty(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Refuse an empty text that was given: an empty variable of a shell script, rather than a wish."""
    source = context.get_parameter_source(option.name or "")
    if (value == "" or (isinstance(value, tuple) and "" in value)) and (
        source is not ParameterSource.DEFAULT
    ):
        raise click.BadParameter("the value is empty.", context, option)
    return value


def _show_help(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        print_text(f"{context.get_help()}\n")
        context.exit()


def show_manual(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the help with the whole manual of each option."""
    if is_asked:
        assert isinstance(context.command, GroupedCommand)  # noqa: S101 - it has this option
        context.command.is_whole = True
        _show_help(context, _, is_asked)
