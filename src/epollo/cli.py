"""The command: argv to settings; errors to one line and status 2."""

import errno
import signal
import sys
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from epollo import __version__
from epollo.checks import check_settings
from epollo.command_line import (
    FILE_NAME,
    FOLDER_NAME,
    GroupedCommand,
    make_parameter,
    resolve_positional,
    show_manual,
)
from epollo.errors import OperatorError, describe_fault
from epollo.settings import Settings, list_options
from epollo.start import start
from epollo.terminal import (
    close_streams,
    find_reachable_address,
    open_streams,
    print_text,
    report,
)
from epollo.transports.state_folder import find_state_folder

_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))


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
    from epollo.settings_file import read_settings_file  # noqa: PLC0415

    file = context.obj = read_settings_file(Path(path))
    parameters = {parameter.name: parameter for parameter in context.command.params}
    for name, value in file.values.items():
        parameter = parameters[name]
        try:
            for one in value if isinstance(value, list) else [value]:
                parameter.type.convert(one, parameter, context)
        except click.BadParameter as mistake:
            raise OperatorError(f"{file.find_place(name)}: {mistake.message}") from None
    context.default_map = file.values
    for number, site in enumerate(file.sites):
        for name in site.keys() & parameters.keys():
            parameter, value = parameters[name], site[name]
            try:
                site[name] = (
                    [parameter.type.convert(one, parameter, context) for one in value]
                    if isinstance(value, list)
                    else parameter.type.convert(value, parameter, context)
                )
            except click.BadParameter as mistake:
                place = file.find_site_place(number, name)
                raise OperatorError(f"{place}: {mistake.message}") from None


def _run(words: tuple[str, ...], **given: Any) -> None:
    start(_make_settings(words, given), _read_again)


def _make_settings(words: tuple[str, ...], given: dict[str, Any]) -> Settings:
    wanted = dict(given)
    resolve_positional(wanted, words)
    context = click.get_current_context()
    if context.obj is not None and context.obj.sites:
        source = context.get_parameter_source("root")
        if wanted["root"] != Path(given["root"]) or source is not ParameterSource.DEFAULT:
            is_in_file = source is ParameterSource.DEFAULT_MAP and not words
            place = context.obj.find_place("root") if is_in_file else context.obj.path
            raise OperatorError(
                f"{place}: each [[site]] has a folder of its own; no other can be given"
            )
        wanted["sites"] = context.obj.sites
    _refuse_two_places(context, wanted, wanted["port"] != given["port"])
    settings = Settings(**wanted)
    try:
        if settings.tls_self_signed:
            settings = _sign_locally(settings)
        check_settings(settings)
    except OperatorError as mistake:
        name = mistake.setting
        if mistake.site is not None and name in settings.sites[mistake.site]:
            place = context.obj.find_site_place(mistake.site, name)
            raise OperatorError(f"{place}: {mistake}", name) from None
        is_typed = context.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP
        is_replaced = name == "root" and wanted["root"] != Path(given["root"])
        if is_typed or is_replaced or context.obj is None:
            raise OperatorError(_name_option(str(mistake), name), name) from None
        raise OperatorError(f"{context.obj.find_place(name)}: {mistake}", name) from None
    return settings


def _refuse_two_places(
    context: click.Context, settings: dict[str, Any], has_port_word: bool
) -> None:
    """Refuse a path and an address to listen at: the address would be left out.

    A path that is typed overrides an address of the settings file.
    """
    if not settings["unix"]:
        return
    # Port 0 names none.
    named = ("port", "host") if settings["port"] else ("host",)
    source = context.get_parameter_source("unix")
    for name in named:
        of_name = context.get_parameter_source(name)
        is_typed = of_name is ParameterSource.COMMANDLINE or (name == "port" and has_port_word)
        is_in_file = of_name is source is ParameterSource.DEFAULT_MAP
        if is_typed or is_in_file:
            place = "" if is_typed else f"{context.obj.find_place(name)}: "
            raise OperatorError(
                f"{place}--unix listens at a path; --{name} is of no use with it", name
            )


def _name_option(mistake: str, name: str) -> str:
    """Return a mistake with its option in front, if it begins with a value that several may have."""
    return f"{list_options()[name][0].flags[0]}: {mistake}" if mistake[:1] in "'\"" else mistake


def _sign_locally(settings: Settings) -> Settings:
    """Return settings with a certificate of our own for this machine, made if need be."""
    # Here alone: nothing else needs the package.
    from epollo.transports.self_signed import ensure_certificate, list_local_names  # noqa: PLC0415

    names = list_local_names(settings.host, find_reachable_address())
    local = ensure_certificate(find_state_folder(), names)
    return settings.replace(
        tls_certificates=(*settings.tls_certificates, str(local.certificate)),
        tls_keys=(*settings.tls_keys, str(local.key)),
    )


def _read_again() -> Settings:
    """Return the settings that the same command line means now."""
    try:
        with _COMMAND.make_context("epollo", sys.argv[1:]) as context:
            given = dict(context.params)
            return _make_settings(given.pop("words"), given)
    except click.ClickException as mistake:
        raise OperatorError(mistake.format_message()) from None


_COMMAND = GroupedCommand(
    "epollo",
    callback=_run,
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
            callback=show_manual,
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
        if sys.argv[1:2] in (["why"], ["check"]) and not Path(sys.argv[1]).is_dir():
            # As for the lab.
            from epollo.diagnosis.command import run  # noqa: PLC0415

            run(sys.argv[1], sys.argv[2:], _COMMAND, _make_settings)
            return
        _COMMAND.main(standalone_mode=False, prog_name="epollo")
    except click.ClickException as mistake:
        report(f"{mistake.format_message()} ({_find_hint()})")
        sys.exit(2)
    except OperatorError as mistake:
        report(f"{mistake} ({_find_hint()})" if _find_hidden_command() else str(mistake))
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(0)
    except OSError as error:
        # Out of descriptors, or of memory, the system lets us read no module more.
        is_exhausted = error.errno in _EXHAUSTED
        report(f"cannot start: {error.strerror}" if is_exhausted else describe_fault(error))
        sys.exit(2 if is_exhausted else 1)
    except Exception as fault:
        if isinstance(fault.__cause__, SystemExit):
            # A signal came while a class was being made, and Python gave its exception another name.
            sys.exit(0)
        report(describe_fault(fault))
        sys.exit(1)
    finally:
        close_streams()


def _find_hidden_command() -> str:
    """Return the command that may be meant, if a folder of its name is served instead."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    return word if word in {"lab", "why", "check"} and Path(word).is_dir() else ""


def _find_hint() -> str:
    hidden = _find_hidden_command()
    if not hidden:
        return "epollo --help lists the options"
    other = "the lab is python -m epollo.lab" if hidden == "lab" else "elsewhere it is a command"
    return f"there is a folder {hidden}, which is served; {other}"
