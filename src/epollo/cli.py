"""The command: argv to settings; errors to one line and status 2."""

import errno
import gc
import os
import signal
import sys

from epollo.annotations import Any, Final
from epollo.checks import check_settings
from epollo.errors import OperatorError, UsageError, describe_fault
from epollo.given import Given, read_plain, resolve_positional
from epollo.settings import Settings, list_options
from epollo.start import start
from epollo.terminal import (
    close_streams,
    find_reachable_address,
    open_streams,
    report,
)

_COMPLETION: Final = "_EPOLLO_COMPLETE"
"""Set by a shell that asks for the end of a word."""
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))


def _make_settings(given: Given) -> Settings:
    """Return the settings that are meant. Raises `OperatorError`, which names where a mistake stands."""
    file = given.file
    wanted = resolve_positional(given)
    is_root_replaced = wanted["root"] != given.values["root"]
    if file is not None and file.sites:
        if is_root_replaced or "root" in given.typed or given.is_in_file("root"):
            is_in_file = given.is_in_file("root") and not given.words
            place = file.find_place("root") if is_in_file else file.path
            raise OperatorError(
                f"{place}: each [[site]] has a folder of its own; no other can be given"
            )
        wanted["sites"] = file.sites
    _refuse_two_places(given, wanted)
    settings = Settings(**wanted)
    try:
        if settings.tls_self_signed:
            settings = _sign_locally(settings)
        check_settings(settings)
    except OperatorError as mistake:
        name = mistake.setting
        if file is None:
            raise OperatorError(_name_option(str(mistake), name), name) from None
        if mistake.site is not None and name in settings.sites[mistake.site]:
            place = file.find_site_place(mistake.site, name)
            raise OperatorError(f"{place}: {mistake}", name) from None
        if not given.is_in_file(name) or (name == "root" and is_root_replaced):
            raise OperatorError(_name_option(str(mistake), name), name) from None
        raise OperatorError(f"{file.find_place(name)}: {mistake}", name) from None
    return settings


def _refuse_two_places(given: Given, wanted: dict[str, Any]) -> None:
    """Refuse a path and an address to listen at: the address would be left out.

    A path that is typed overrides an address of the settings file.
    """
    if not wanted["unix"]:
        return
    # Port 0 names none.
    named = ("port", "host") if wanted["port"] else ("host",)
    for name in named:
        is_typed = name in given.typed or wanted[name] != given.values[name]
        if is_typed or (given.is_in_file(name) and given.is_in_file("unix")):
            file = given.file
            place = "" if is_typed or file is None else f"{file.find_place(name)}: "
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
    from epollo.transports.state_folder import find_state_folder  # noqa: PLC0415

    names = list_local_names(settings.host, find_reachable_address())
    local = ensure_certificate(find_state_folder(), names)
    return settings.replace(
        tls_certificates=(*settings.tls_certificates, str(local.certificate)),
        tls_keys=(*settings.tls_keys, str(local.key)),
    )


def _read_again() -> Settings:
    """Return the settings that the same command line means now."""
    given = _read_arguments()
    assert given is not None  # noqa: S101 - it has started a server
    return _make_settings(given)


def _read_arguments() -> Given | None:
    """Return what this process was given; None if it asked for a text, which was printed."""
    argv = sys.argv[1:]
    given = None if _COMPLETION in os.environ else read_plain(argv)
    if given is not None:
        return given
    # See `epollo.given`.
    from epollo.command_line import read_command_line  # noqa: PLC0415

    return read_command_line(argv)


def main() -> None:
    """Run the command; an operator's mistake is one line on stderr and exit status 2."""
    open_streams()
    if sys.argv[1:2] == ["lab"] and not os.path.isdir("lab"):
        gc.enable()
        # Here alone: a server needs nothing of the lab.
        from epollo.lab.command import main as run_lab  # noqa: PLC0415

        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # It ends what it has started before it ends itself.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run_lab(sys.argv[2:])
        return
    try:
        if sys.argv[1:2] in (["why"], ["check"]) and not os.path.isdir(sys.argv[1]):
            gc.enable()
            # As for the lab.
            from epollo.diagnosis.command import run  # noqa: PLC0415

            run(sys.argv[1], sys.argv[2:], _make_settings)
            return
        given = _read_arguments()
        if given is not None:
            start(_make_settings(given), _read_again)
    except UsageError as mistake:
        report(f"{mistake} ({_find_hint()})")
        sys.exit(2)
    except OperatorError as mistake:
        report(f"{mistake} ({_find_hint()})" if _find_hidden_command() else str(mistake))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(0)
    except ImportError as error:
        # What these settings ask for is not there, or cannot be read.
        report(f"cannot start: {error}")
        sys.exit(1)
    except OSError as error:
        # Without descriptors, or memory, no more modules can be read.
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
    return word if word in {"lab", "why", "check"} and os.path.isdir(word) else ""


def _find_hint() -> str:
    hidden = _find_hidden_command()
    if not hidden:
        return "epollo --help lists the options"
    other = "the lab is python -m epollo.lab" if hidden == "lab" else "elsewhere it is a command"
    return f"there is a folder {hidden}, which is served; {other}"
