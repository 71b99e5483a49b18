"""The command line as click knows it: settings as options, and a help with a section for each group."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from click.core import ParameterSource

from epollo import __version__
from epollo.annotations import TYPE_CHECKING, Any, Final
from epollo.arguments import CacheControl, NearOptions, Quantity
from epollo.errors import OperatorError, UsageError
from epollo.given import Given
from epollo.settings import list_options
from epollo.settings.option import GROUPS, Option, describe_choices, describe_default
from epollo.terminal import print_text
from epollo.values import select_unit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
        kind = Quantity(option.minimum, option.maximum, select_unit(option))
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


def _refuse_empty(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Refuse an empty text that was given: most often a variable of a shell script is empty."""
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


def _show_manual(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the help with the whole manual of each option."""
    if is_asked:
        assert isinstance(context.command, GroupedCommand)  # noqa: S101 - it has this option
        context.command.is_whole = True
        _show_help(context, _, is_asked)


def _show_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        print_text(f"epollo {__version__}\n")
        context.exit()


def _read_file(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Let a file say what the options are where they are not typed."""
    if path is None:
        return
    if not path:
        raise OperatorError("--config: the name of the file is empty")
    # Most have none.
    from epollo.settings_file import read_settings_file  # noqa: PLC0415

    context.obj = read_settings_file(path)
    context.default_map = context.obj.values


def collect(words: tuple[str, ...], values: dict[str, Any]) -> Given:
    """Return what the command line gives that is being read."""
    context = click.get_current_context()
    typed = (
        name for name in values if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )
    return Given(words, values, frozenset(typed), context.obj)


def _collect(words: tuple[str, ...], **values: Any) -> Given:
    return collect(words, values)


def read_command_line(argv: Sequence[str]) -> Given | None:
    """Return what a command line gives; None if it asked for a text, which was printed.

    Raises `UsageError`, and `OperatorError` for the settings file.
    """
    with refused_as_usage():
        given = COMMAND.main([*argv], standalone_mode=False, prog_name="epollo")
    return given if isinstance(given, Given) else None


@contextmanager
def refused_as_usage() -> Iterator[None]:
    """Have what the command line library refuses be a `UsageError`."""
    try:
        yield
    except click.ClickException as mistake:
        raise UsageError(mistake.format_message()) from None
    except click.Abort:
        sys.exit(0)


COMMAND = GroupedCommand(
    "epollo",
    callback=_collect,
    params=[
        click.Argument(["words"], nargs=-1, type=FOLDER_NAME, metavar="[PATH] [PORT]"),
        *(make_parameter(name, *option) for name, option in list_options().items()),
        click.Option(
            ["--config"],
            type=FILE_NAME,
            is_eager=True,
            expose_value=False,
            callback=_read_file,
            metavar="FILE",
            help=("Read options from a TOML file; the command line overrides it."),
        ),
        click.Option(
            ["--manual"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_manual,
            help="Show this message with the whole manual of each option.",
        ),
        click.Option(
            ["--version", "-V"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version and exit.",
        ),
    ],
    help=(
        "Serve the folder PATH; without PATH, the current folder. PORT is the same as --port.\n\n"
        "\b\nExamples:\n"
        "  epollo                                   serve this folder at http://127.0.0.1:7890/\n"
        "  epollo /srv/site 8000                    another folder, another port\n"
        "  epollo /srv/site --host 0.0.0.0          let the whole network connect\n"
        "  epollo /srv/site --workers auto          one process per processor\n"
        "  epollo why /about -d /srv/site           say what makes an answer, without a server\n"
        "  epollo check /srv/site                   find mistakes in rules and links\n"
        "  epollo lab --quick                       measure the pollers (epollo lab --help)\n\n"
        "A size is a number of bytes or has a unit (64k, 256M, 1GiB); a duration is a number of seconds "
        "or has a unit (500ms, 10s, 5m, 1h).\n\n"
        "The options of python -m http.server work too: epollo 8000 -d FOLDER -b ADDRESS."
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 90},
)
