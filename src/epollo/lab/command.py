"""``epollo lab``: its command line, and where the results go."""

import errno
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import click
from click.core import ParameterSource

from epollo.annotations import Any, Final
from epollo.arguments import NearOptions, Quantity
from epollo.errors import OperatorError
from epollo.lab.charts import make_standalone
from epollo.lab.measure import measure
from epollo.lab.page import format_page
from epollo.lab.pictures import draw_all
from epollo.lab.plan import (
    Scope,
    describe_seconds,
    fit_idle_counts,
    forecast_seconds,
    plan_courses,
)
from epollo.lab.png import find_chromium, write_pngs
from epollo.lab.reading import parse_json
from epollo.lab.results import Results, format_json
from epollo.lab.table import describe_conditions, format_table
from epollo.lab.watch import watch
from epollo.lab.words import LANGUAGES
from epollo.linux.descriptors import raise_descriptor_limit
from epollo.pollers import POLLERS
from epollo.terminal import report, tell

IDLE: Final = (0, 10, 100, 1000, 5000, 10_000)
QUICK_IDLE: Final = (0, 100, 500)
IDLE_LIMIT: Final = 1_000_000
"""The lab goes no further: each end of a connection takes kilobytes of the kernel's memory."""
ASKING: Final = 4
"""Connections that ask without pause."""
_QUICK_SECONDS: Final = 0.3
_LEAST_COLUMNS: Final = 40


def _split_numbers(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Read ``0,100,1000``."""
    if value is None:
        return None
    words = value.split(",")
    if not all(word.isascii() and word.isdigit() for word in words):
        raise click.BadParameter(
            f"{value!r} is not a list of numbers, such as 0,100,1000", context, parameter
        )
    if any(len(word.lstrip("0")) > 7 or int(word) > IDLE_LIMIT for word in words):
        raise click.BadParameter(
            f"no more than {IDLE_LIMIT:,} idle connections are tried", context, parameter
        )
    return tuple(sorted({int(word) for word in words}))


def _split_pollers(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    """Read ``busy,epoll``."""
    names = tuple(POLLERS) if value is None else tuple(dict.fromkeys(value.split(",")))
    for name in names:
        if name not in POLLERS:
            raise click.BadParameter(
                f"{name!r} is none of {', '.join(POLLERS)}", context, parameter
            )
    return names


class _Group(NearOptions, click.Group):
    """The lab, whose commands treat mistakes as it does."""

    command_class = NearOptions


_FILE: Final[Any] = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final[Any] = click.Path(file_okay=False, path_type=Path)


def _show_help(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the help as everything else: stdout may have no reader, or a full disk."""
    if is_asked and not context.resilient_parsing:
        _tell_lines(context.get_help())
        context.exit()


_help_option: Final = click.option(
    "-h",
    "--help",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_help,
    help="Show this message and exit.",
)


def _tell_lines(text: str) -> None:
    for line in text.splitlines():
        tell(line)


@click.group(
    cls=_Group,
    invoke_without_command=True,
    no_args_is_help=False,
    add_help_option=False,
    context_settings={"max_content_width": 100},
)
@_help_option
@click.option(
    "--idle",
    callback=_split_numbers,
    metavar="NUMBERS",
    help=f"How many idle connections, for example 0,100,1000.  [default: {','.join(map(str, IDLE))}]",
)
@click.option(
    "--pollers",
    callback=_split_pollers,
    metavar="NAMES",
    help=f"Which pollers to measure, for example busy,epoll.  [default: {','.join(POLLERS)}]",
)
@click.option(
    "--seconds",
    type=Quantity(0.05, 600, "seconds"),
    help="How long each measurement lasts.  [default: 1]",
)
@click.option(
    "--rounds",
    type=Quantity(1, 100),
    help="How often each measurement is repeated.  [default: 3]",
)
@click.option("--quick", is_flag=True, help="One short round with few connections: half a minute.")
@click.option("--json", "json_file", type=_FILE, help="Write the results to this file.")
@click.option("--html", "html_file", type=_FILE, help="Write the report as one page for a browser.")
@click.option("--svg", "svg_folder", type=_FOLDER, help="Write the drawings to this folder.")
@click.option(
    "--png",
    "png_folder",
    type=_FOLDER,
    help="Write the drawings as PNG to this folder; needs Chromium.",
)
@click.option(
    "--from",
    "from_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Measure nothing; report the results that --json wrote.",
)
@click.pass_context
def command(
    context: click.Context,
    /,
    from_file: Path | None,
    json_file: Path | None,
    html_file: Path | None,
    *,
    svg_folder: Path | None,
    png_folder: Path | None,
    **asked: Any,
) -> None:
    """Measure polling against event notification, with the server itself, on this machine.

    Everything stays on loopback. Nothing that was started is left behind.
    """
    if context.invoked_subcommand is not None:
        if given := _list_given(context, tuple(context.params)):
            raise click.UsageError(f"{given[0]} is not for {context.invoked_subcommand}")
        return
    if from_file is not None and (given := _list_given(context, (*asked,))):
        raise click.UsageError(f"{given[0]} cannot be combined with --from, which measures nothing")
    read = None if from_file is None else _read_results(from_file)
    check_targets([one for one in (json_file, html_file) if one], [svg_folder, png_folder])
    if png_folder is not None:
        find_chromium()
    results = read or _measure(**asked)
    width = max(_LEAST_COLUMNS, shutil.get_terminal_size().columns)
    conditions = textwrap.fill(describe_conditions(results, "en"), width)
    _tell_lines(f"{format_table(results, width)}\n{conditions}")
    try:
        if json_file is not None:
            json_file.write_text(format_json(results), encoding="utf-8")
        if html_file is not None:
            html_file.write_text(format_page(results), encoding="utf-8")
        if svg_folder is not None:
            write_drawings(results, svg_folder)
        if png_folder is not None:
            _write_pngs(results, png_folder)
    except OSError as error:
        raise OperatorError(f"cannot write {error.filename}: {error.strerror}") from error


def _list_given(context: click.Context, names: tuple[str, ...]) -> list[str]:
    """Return those options that were typed, as they are typed."""
    return [
        parameter.opts[-1]
        for parameter in context.command.params
        if parameter.name in names
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]


def check_targets(targets: list[Path], folders: list[Path | None]) -> None:
    """Raise `OperatorError` if something cannot be written, before minutes are spent on it."""
    for path in targets:
        if path.exists():
            # Not opened: the reader of a pipe would take this for the whole.
            if not os.access(path, os.W_OK):
                raise OperatorError(f"cannot write {path}: {os.strerror(errno.EACCES)}")
        else:
            _try_writing_in(path.parent, path)
    for folder in folders:
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OperatorError(f"cannot write {folder}: {error.strerror}") from error
            _try_writing_in(folder, folder)


def _try_writing_in(folder: Path, target: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OperatorError(f"cannot write {target}: {error.strerror}") from error


def _measure(
    idle: tuple[int, ...] | None,
    pollers: tuple[str, ...],
    seconds: float | None,
    rounds: int | None,
    *,
    quick: bool,
) -> Results:
    """Measure what was asked for. Raises `OperatorError` if that cannot be done."""
    counts = idle or (QUICK_IDLE if quick else IDLE)
    allowed, refused = fit_idle_counts(counts, ASKING, raise_descriptor_limit())
    if refused:
        report(
            f"the limit of descriptors (ulimit -Hn) is too low for "
            f"{', '.join(f'{idle:,}' for idle in refused)} connections"
        )
    if not allowed:
        raise OperatorError("no number of connections is left to measure")
    scope = Scope(
        pollers=pollers,
        idle=tuple(allowed),
        seconds=seconds or (_QUICK_SECONDS if quick else 1.0),
        rounds=rounds or (1 if quick else 3),
        asking=ASKING,
    )
    forecast = sum(forecast_seconds(scope, course) for course in plan_courses(scope))
    report(f"measuring for about {describe_seconds(forecast)}; Ctrl-C ends it")
    results = measure(scope, _make_progress())
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return results


def _make_progress() -> Callable[[str, float], None]:
    """Return how progress is shown: in one line on a terminal, else a line every ten seconds."""
    is_terminal = sys.stderr.isatty()
    last_told = -10.0

    def show(text: str, seconds_left: float) -> None:
        nonlocal last_told
        line = f"{text}; {describe_seconds(seconds_left)} left"
        if is_terminal:
            columns = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{line[: columns - 1]}")
            sys.stderr.flush()
        elif time.monotonic() - last_told >= 10:
            last_told = time.monotonic()
            report(line)

    return show


def _read_results(path: Path) -> Results:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperatorError(f"cannot read {path}: {error}") from error


def write_drawings(results: Results, folder: Path) -> list[Path]:
    """Write every drawing in every language as a file of its own; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for language in LANGUAGES:
        for name, svg in draw_all(results, language).items():
            path = folder / f"lab-{name}-{language}.svg"
            path.write_text(make_standalone(svg), encoding="utf-8")
            written.append(path)
    return written


def _write_pngs(results: Results, folder: Path) -> None:
    """Have Chromium draw what `write_drawings` writes."""
    with tempfile.TemporaryDirectory(prefix="epollo-lab-") as work:
        write_pngs(write_drawings(results, Path(work)), folder)


@command.command("watch", add_help_option=False)
@_help_option
@click.option(
    "--port",
    type=Quantity(0, 65535),
    default=7891,
    show_default=True,
    help="The port of the page. 0 takes any free port.",
)
@click.option(
    "--poller",
    type=click.Choice(tuple(POLLERS)),
    default="busy",
    show_default=True,
    help="The poller that the watched server begins with.",
)
def watch_command(port: int, poller: str) -> None:
    """Show a server at work, live, in the browser."""
    raise_descriptor_limit()
    watch(port, poller)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


def main(arguments: list[str]) -> None:
    """Run the lab; mistakes are one line on stderr and status 2, Ctrl-C is status 130."""
    # SIGTERM is treated as an interrupt, so that what was started is ended first.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        command.main(arguments, prog_name="epollo lab", standalone_mode=False)
    except click.ClickException as mistake:
        report(f"{mistake.format_message()} (epollo lab --help lists the options)")
        sys.exit(2)
    except OperatorError as mistake:
        report(str(mistake))
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("\n")
        sys.exit(130)
