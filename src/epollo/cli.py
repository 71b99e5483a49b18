"""The command: argv to settings, settings to a running worker, errors to one line and status 2."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from epollo import __version__
from epollo.access_log import STDOUT, find_hindrance, open_log
from epollo.arguments import CacheControl, FiniteRange, NearOptions, OctetsRange, SecondsRange
from epollo.checks import check_settings
from epollo.connections.listening import (
    adopt,
    describe_address,
    is_listening,
)
from epollo.errors import OperatorError
from epollo.linux.systemd import notify_ready, take_passed_descriptors
from epollo.quantities import format_octets
from epollo.settings import (
    Option,
    Settings,
    describe_choices,
    list_options,
)
from epollo.settings_file import SettingsFile, read_settings_file
from epollo.site.mounts import open_mounts
from epollo.supervisor import Listening, Supervisor, open_listening, take_over
from epollo.terminal import describe_start, open_streams, print_text, report, tell
from epollo.worker import Worker


class _Choice(click.Choice[str]):
    """One of some words, or of many numbers, which are not all listed."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ARG002
        return f"{value!r} is not one of {describe_choices(self.choices)}."


class _Command(NearOptions):
    """A command whose help is one line on stderr where it cannot be printed."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def _make_parameter(name: str, option: Option, default: Any) -> click.Option:
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
            show_default="/" in option.flags[0],
            help=option.manual,
        )
    elif option.unit.startswith("octets"):
        kind = OctetsRange(option.minimum, option.maximum)  # type: ignore[arg-type]
    elif option.unit == "seconds":
        kind = SecondsRange(option.minimum, option.maximum)
    elif isinstance(default, int):
        kind = click.IntRange(option.minimum, option.maximum)  # type: ignore[arg-type]
    elif isinstance(default, float):
        kind = FiniteRange(option.minimum, option.maximum)
    elif isinstance(default, Path):
        kind = click.Path()
    return click.Option(
        [*option.flags, name],
        type=kind,
        callback=_refuse_empty,
        default=default,
        show_default=format_octets(default) if option.unit == "octets" else default != "",
        metavar=option.unit.upper() or None,
        help=option.manual,
    )


def _refuse_empty(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Refuse an empty text that was given: an empty variable of a shell script, rather than a wish."""
    source = context.get_parameter_source(option.name or "")
    if value == "" and source is not ParameterSource.DEFAULT:
        raise click.BadParameter("it is empty.", context, option)
    return value


def _resolve_positional(settings: dict[str, Any], words: tuple[str, ...]) -> None:
    """Take what stands without a flag: a folder, or a port as ``python -m http.server`` has it."""
    folders, ports = [], []
    for word in words:
        if word.isascii() and word.isdigit() and not _is_folder(word):
            if len(word.lstrip("0")) > 5 or int(word) > 65535:
                raise OperatorError(f"{word} is neither a folder nor a port (0 to 65535)")
            ports.append(word)
        else:
            folders.append(word)
    if len(folders) > 1:
        raise OperatorError(f"one folder is served at a time, not {' and '.join(folders)}")
    if len(ports) > 1:
        raise OperatorError(f"one port is listened on, not {' and '.join(ports)}")
    if ports:
        settings["port"] = int(ports[0])
    if folders:
        settings["root"] = folders[0]
    if not os.fspath(settings["root"]):
        raise OperatorError("the name of the folder is empty")
    settings["root"] = Path(settings["root"])


def _is_folder(word: str) -> bool:
    try:
        return Path(word).is_dir()
    except OSError:
        # Longer than a name may be.
        return False


def _show_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        print_text(f"epollo {__version__}\n")
        context.exit()


def _show_help(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        print_text(f"{context.get_help()}\n")
        context.exit()


def _read_file(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Let a file say what the options are where they are not typed."""
    if path is None:
        return
    file = context.obj = read_settings_file(Path(path))
    parameters = {parameter.name: parameter for parameter in context.command.params}
    for name, value in file.values.items():
        parameter = parameters[name]
        try:
            parameter.type.convert(value, parameter, context)
        except click.BadParameter as mistake:
            raise OperatorError(f"{file.find_place(name)}: {mistake.message}") from None
    context.default_map = file.values


def _run(words: tuple[str, ...], **given: Any) -> None:
    settings = _make_settings(words, given)
    inherited, tell_predecessor = take_over()
    inherited = inherited or _take_passed_sockets()
    if settings.workers != "0":
        _supervise(settings, inherited, tell_predecessor)
        return
    listening = inherited or open_listening(settings)
    try:
        worker = _open_worker(settings, listening.sockets)
        if hindrance := find_hindrance(settings):
            report(
                f"the access log cannot be opened again after a rotation: {hindrance}; with "
                "--workers 1 it can"
            )
        _tell_start(settings, listening.sockets, worker.poller_name, worker.sandbox)
        tell_predecessor()
        notify_ready()
        worker.run()
    finally:
        listening.close()


def _take_passed_sockets() -> Listening | None:
    """Return what a service manager opened for us to listen on."""
    sockets = adopt(take_passed_descriptors())
    for one in sockets:
        if not is_listening(one):
            raise OperatorError(f"descriptor {one.fileno()} was passed, but does not listen")
    return Listening(sockets, None) if sockets else None


def _make_settings(words: tuple[str, ...], given: dict[str, Any]) -> Settings:
    wanted = dict(given)
    _resolve_positional(wanted, words)
    settings = Settings(**wanted)
    try:
        check_settings(settings)
    except OperatorError as mistake:
        name = mistake.setting
        context = click.get_current_context()
        is_typed = context.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP
        is_replaced = name == "root" and wanted["root"] != Path(given["root"])
        if is_typed or is_replaced or not isinstance(context.obj, SettingsFile):
            raise
        raise OperatorError(f"{context.obj.find_place(name)}: {mistake}", name) from None
    return settings


def _tell_start(
    settings: Settings, sockets: list[socket.socket], poller_name: str, sandbox: str
) -> None:
    addresses = list(dict.fromkeys(describe_address(one) for one in sockets))
    for line in describe_start(settings.root, addresses, poller_name, sandbox):
        # A log on stdout is for programs, and has stdout for itself.
        (report if settings.access_log == STDOUT else tell)(line)


def _supervise(
    settings: Settings, inherited: Listening | None, tell_predecessor: Callable[[], None]
) -> None:
    """Have workers serve, until a signal says to stop."""
    is_first = True

    def load() -> Settings:
        nonlocal is_first
        if is_first:
            is_first = False
            return settings
        return _read_again()

    def on_started(settings: Settings, sockets: list[socket.socket], description: str) -> None:
        poller_name, _, sandbox = description.partition("\n")
        _tell_start(settings, sockets, poller_name, sandbox)
        tell_predecessor()

    try:
        supervisor = Supervisor(load, report, on_started, inherited)
    except OSError as error:
        raise _make_refusal(settings, error) from error
    sys.exit(supervisor.run())


def _read_again() -> Settings:
    """Return the settings that the same command line means now."""
    try:
        with _COMMAND.make_context("epollo", sys.argv[1:]) as context:
            given = dict(context.params)
            return _make_settings(given.pop("words"), given)
    except click.ClickException as mistake:
        raise OperatorError(mistake.format_message()) from None


def _open_worker(settings: Settings, listening: list[socket.socket]) -> Worker:
    """Return a worker; what the system refuses it is told in one line."""
    try:
        return Worker(
            settings, listening, report, open_log(settings, report), mounts=open_mounts(report)
        )
    except OSError as error:
        raise _make_refusal(settings, error) from error


def _make_refusal(settings: Settings, error: OSError) -> OperatorError:
    """Say what the system refused: too few descriptors, a current folder that was deleted."""
    return OperatorError(f"cannot serve {settings.root}: {error.strerror}")


_COMMAND = _Command(
    "epollo",
    callback=_run,
    params=[
        click.Argument(["words"], nargs=-1, metavar="[PATH] [PORT]"),
        *(_make_parameter(name, *option) for name, option in list_options().items()),
        click.Option(
            ["--config"],
            type=click.Path(),
            is_eager=True,
            expose_value=False,
            callback=_read_file,
            metavar="FILE",
            help="Read options from a TOML file; what is typed goes before.",
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version.",
        ),
    ],
    help=(
        "Serve the folder PATH, the current one if none is named.\n\n"
        "Sizes may have a unit (64k, 256M, 1GiB), and so may durations (500ms, 10s, 5m).\n\n"
        "What python -m http.server understands is understood too: epollo 8000 -d DIR -b ADDRESS.\n\n"
        "epollo lab measures polling against event notification on this machine (epollo lab --help)."
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """Run the command; an operator's mistake is one line on stderr and exit status 2."""
    open_streams()
    if sys.argv[1:2] == ["lab"] and not Path("lab").is_dir():
        # Here alone: a server needs nothing of the lab.
        from epollo.lab.command import main as run_lab  # noqa: PLC0415

        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # It ends what it has started before it ends itself.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run_lab(sys.argv[2:])
        return
    try:
        _COMMAND.main(standalone_mode=False, prog_name="epollo")
    except click.ClickException as mistake:
        report(f"{mistake.format_message()} ({_find_hint()})")
        sys.exit(2)
    except OperatorError as mistake:
        report(f"{mistake} ({_find_hint()})" if _is_lab_hidden() else str(mistake))
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(0)


def _is_lab_hidden() -> bool:
    """Tell whether somebody may have meant the lab, and got the folder of that name."""
    return sys.argv[1:2] == ["lab"]


def _find_hint() -> str:
    if _is_lab_hidden():
        return "there is a folder lab, which is served; the lab is python -m epollo.lab"
    return "epollo --help lists what there is"
