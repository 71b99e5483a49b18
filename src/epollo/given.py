"""What an operator gives a server: words and options of the command line, and a settings file.

Facts: the command line library takes a sixth of a start, and nine tenths of that are for what it says of
mistakes and of itself.
Decision: a command line that is right and starts a server is read here. Any other, and one that is
written in an uncommon way, is left to the library, which also says what is wrong.
Price: two readers, which a test holds to the same.
"""

import os
from collections.abc import Sequence

from epollo.annotations import TYPE_CHECKING, Any, Final
from epollo.errors import OperatorError
from epollo.named_tuples import NamedTuple
from epollo.settings import list_options
from epollo.settings.option import Option
from epollo.values import parse_value

if TYPE_CHECKING:
    # A server without a settings file needs nothing of what reads one.
    from epollo.settings_file import SettingsFile

_NAME: Final = Option((), "", "")
_MEANT: Final = frozenset(("help", "manual", "version"))


class Given(NamedTuple):
    """The settings by their names, and where they were given.

    ``words`` stand without a flag. ``typed`` are the names of the settings that are on the command line.
    """

    words: tuple[str, ...]
    values: dict[str, Any]
    typed: frozenset[str]
    file: "SettingsFile | None" = None

    def is_in_file(self, name: str) -> bool:
        """Return whether a setting has the value that the settings file gives it."""
        return self.file is not None and name in self.file.values and name not in self.typed


def read_plain(argv: Sequence[str]) -> Given | None:
    """Return what a command line gives; None if the library has to read it."""
    options = list_options()
    known = {
        flag: (name, option, default)
        for name, (option, default) in options.items()
        for flags in option.flags
        for flag in flags.split("/")
    }
    known["--config"] = ("", _NAME, "")
    words: list[str] = []
    typed: dict[str, Any] = {}
    left = iter(argv)
    for word in left:
        if word[:1] != "-" or word == "-":
            words.append(word)
            continue
        flag, equals, text = word.partition("=")
        if flag not in known:
            return None
        name, option, default = known[flag]
        if isinstance(default, bool):
            if equals:
                return None
            typed[name] = not flag.startswith("--no-")
            continue
        text = text if equals else next(left, "")
        # Where a dash begins what may be a value, or the next option, the library decides.
        if not text or (text[0] == "-" and text != "-") or (equals and flag[:2] != "--"):
            return None
        try:
            value = parse_value(option, default, text)
        except ValueError:
            return None
        typed[name] = (*typed.get(name, ()), value) if isinstance(default, tuple) else value
    path = typed.pop("", None)
    file = None if path is None else _read_file(path)
    values = {name: default for name, (_, default) in options.items()}
    if file is not None:
        values |= {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in file.values.items()
        }
    return Given(tuple(words), values | typed, frozenset(typed), file)


def _read_file(path: str) -> "SettingsFile":
    # For a server that has one.
    from epollo.settings_file import read_settings_file  # noqa: PLC0415

    return read_settings_file(path)


def resolve_positional(given: Given) -> dict[str, Any]:
    """Return the settings with what stands without a flag: a folder, or a port.

    ``python -m http.server`` has them so. Raises `OperatorError` if there are two, with a flag or
    without, that are not the same.
    """
    settings = dict(given.values)
    folders, ports = (
        [str(settings[name])] if name in given.typed else [] for name in ("root", "port")
    )
    for word in given.words:
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
    return settings


def _refuse_option(word: str) -> None:
    """Refuse the name of an option that was typed as a command, unless a folder has it: ``help``."""
    if word in _MEANT and not _is_folder(word):
        raise OperatorError(f"there is no folder {word}; is --{word} meant?", "root")


def _is_folder(word: str) -> bool:
    return os.path.isdir(word)
