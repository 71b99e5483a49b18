"""The settings file: options in TOML, and where each stands, so that a mistake can name its place."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from os import PathLike
from pathlib import Path

from epollo.annotations import Any, Final
from epollo.errors import OperatorError
from epollo.named_tuples import NamedTuple
from epollo.settings import SiteSettings, list_options
from epollo.settings.option import Option, describe_choices
from epollo.site.hosts import parse_pattern
from epollo.values import find_near, parse_value

_LIMIT_OCTETS: Final = 16 * 1024 * 1024
_SITE: Final = "site"
_OF_SITE: Final = ("hosts", "default")
"""What a table of a site may have in addition to settings."""
_SITE_HEADER: Final = re.compile(r"\s*\[\[\s*(?:site|\"site\"|'site')\s*\]\]")


class SettingsFile(NamedTuple):
    """What a file says: settings by their names in `Settings`; several of one are a list."""

    path: Path
    text: str
    values: dict[str, Any]
    sites: tuple[dict[str, Any], ...] = ()
    """The tables of the sites: ``hosts``, ``default``, and settings by their names."""

    def find_place(self, name: str) -> str:
        """Return the file, the line and the key of one of the settings."""
        return _find_place(self.path, self.text, find_key(list_options()[name][0]))

    def find_site_place(self, number: int, name: str) -> str:
        """Return the file, the line and the key of a setting of a site, whose tables count from 0."""
        key = find_key(list_options()[name][0])
        return _find_site_place(self.path, self.text, number, key) + f": {key}"


def read_settings_file(file_name: str | PathLike[str]) -> SettingsFile:
    """Return the settings that a TOML file holds.

    Its keys are the options' long names, without the dashes in front. Raises `OperatorError`, which
    names the file, the line and the key.
    """
    path = Path(file_name)
    text = _read_text(path)
    table = _parse(path, text)
    known = _list_known(list_options())
    sites = table.pop(_SITE, [])
    read = _read_table(
        table, known, lambda key: _find_place(path, text, key, is_shown=False), [_SITE]
    )
    file = SettingsFile(path, text, dict(read), _read_sites(path, text, sites))
    for name, value in file.values.items():
        file.values[name] = _convert(name, value, partial(file.find_place, name))
    for number, site in enumerate(file.sites):
        for name in site.keys() - set(_OF_SITE):
            find_place = partial(file.find_site_place, number, name)
            site[name] = _convert(name, site[name], find_place)
    return file


def _convert(name: str, value: Any, find_place: Callable[[], str]) -> Any:
    """Return the value of a setting that stands in the file, within its bounds and choices."""
    option, default = list_options()[name]
    try:
        if isinstance(value, list):
            return [parse_value(option, default, one) for one in value]
        return value if isinstance(default, bool) else parse_value(option, default, value)
    except ValueError as mistake:
        raise OperatorError(f"{find_place()}: {mistake}") from None


def _list_known(options: dict[str, tuple[Option, Any]]) -> dict[str, tuple[str, Option, Any]]:
    return {
        find_key(option): (name, option, default) for name, (option, default) in options.items()
    }


def _read_table(
    table: dict[str, Any],
    known: dict[str, tuple[str, Option, Any]],
    find_place: Callable[[str], str],
    others: Iterable[str],
) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a table by their names; raise `OperatorError` for the first mistake."""
    for key, value in table.items():
        if key not in known:
            reason = _explain_unknown(key, value, known, others)
            raise OperatorError(f"{find_place(key)}: {reason}")
        name, option, default = known[key]
        if name == "workers" and type(value) is int:
            value = str(value)  # noqa: PLW2901 - a number in the file, a word on the command line
        if isinstance(default, tuple) and isinstance(value, str):
            value = [value]  # noqa: PLW2901 - one of what may be several
        if reason := _find_mistake(value, option, default):
            raise OperatorError(f"{find_place(key)}: {key} {reason}")
        yield name, value


def _explain_unknown(
    key: str, value: object, known: dict[str, tuple[str, Option, Any]], others: Iterable[str]
) -> str:
    """Return what is wrong with a key that a table cannot have, and which may be meant."""
    near = find_near(key, (*known, *others))
    if key in _list_known(list_options()):
        meant = f"; or is {near[0]} meant?" if near else ""
        return f"{key} is the same for all sites, and stands before the first [[site]]{meant}"
    if key in _OF_SITE:
        return f"{key} stands in a table of a site, below [[site]]"
    if isinstance(value, dict) and not near:
        return f"there is no table [{key}]; options stand at the top, without a table"
    opposite = known.get(key.removeprefix("no-"))
    if opposite is not None and isinstance(opposite[2], bool):
        return f"there is no setting {key}; is {key.removeprefix('no-')} = false meant?"
    for name, (_, option, _) in known.items():
        if f"--{key}" in option.flags:
            near = [name]
    meant = f"is {' or '.join(near)} meant?" if near else "epollo --help lists the options"
    return f"there is no setting {key}; {meant}"


def _read_sites(path: Path, text: str, tables: object) -> tuple[dict[str, Any], ...]:
    """Return the tables ``[[site]]``: whose hosts they are, which answers for all others, settings."""
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        place = _find_place(path, text, _SITE, is_shown=False)
        raise OperatorError(f"{place}: each site is a table of its own, that begins with [[site]]")
    known = _list_known(list_options(SiteSettings))
    seen: set[bytes] = set()
    sites: list[dict[str, Any]] = []
    for number, table in enumerate(tables):

        def find_place(key: str, number: int = number) -> str:
            return _find_site_place(path, text, number, key)

        hosts = table.pop("hosts", [])
        hosts = [hosts] if isinstance(hosts, str) else hosts
        is_default = table.pop("default", False)
        if not isinstance(hosts, list) or not all(isinstance(one, str) and one for one in hosts):
            raise OperatorError(f"{find_place('hosts')}: hosts must be a list of texts")
        if not isinstance(is_default, bool):
            raise OperatorError(f"{find_place('default')}: default must be true or false")
        site = dict(_read_table(table, known, find_place, _OF_SITE))
        if "root" not in site:
            raise OperatorError(f"{find_place('')}: this site has no directory")
        if not hosts and not is_default:
            raise OperatorError(
                f"{find_place('')}: this site has no hosts; default = true lets it answer for all "
                "that no other site has"
            )
        if is_default and any(one["default"] for one in sites):
            raise OperatorError(f"{find_place('default')}: another site is the default already")
        for host in hosts:
            try:
                pattern = parse_pattern(host)
            except ValueError as mistake:
                raise OperatorError(f"{find_place('hosts')}: {mistake}") from None
            if pattern in seen:
                raise OperatorError(f"{find_place('hosts')}: {host} is named twice")
            seen.add(pattern)
        sites.append({"hosts": hosts, "default": is_default, **site})
    return tuple(sites)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(_LIMIT_OCTETS + 1)
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}") from None
    if len(octets) > _LIMIT_OCTETS:
        raise OperatorError(f"{path} is no settings file: it is over 16 MiB")
    try:
        # tomllib.loads wants the line ends of a text, and no mark of its byte order.
        return octets.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise OperatorError(f"{path}:{line}: this is not TOML: it is not UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        raise OperatorError(f"{path}: this is not TOML: it is nested too deeply") from None
    reason, found, at = reason.partition(" (at ")
    number = re.match(r"line (\d+), column (\d+)", at)
    # Otherwise it is at the end of the document.
    line = int(number[1]) if number else len(text.rstrip("\n").split("\n"))
    column = f" at column {number[2]}" if number else " at the end" if found else ""
    key = _find_key_before(text, line)
    shown = f", key {key}" if key else ""
    if reason == "Cannot overwrite a value":
        raise OperatorError(f"{path}:{line}: {key or 'the key'} stands here a second time")
    raise OperatorError(f"{path}:{line}{shown}: this is not TOML: {reason}{column}")


def _find_mistake(value: object, option: Option, default: object) -> str:
    """Return what is wrong with the type of a value; nothing if it is right."""
    if isinstance(default, tuple):
        return _find_mistake_in_list(value)
    kinds: tuple[type, ...] = _KINDS.get(type(default), (str,))
    is_quantity = option.unit.partition("/")[0] in {"octets", "seconds"}
    if type(value) not in kinds and not (is_quantity and type(value) is str):
        also = _ALSO[option.unit.partition("/")[0]] if is_quantity else ""
        if option.unit in _LISTS and isinstance(value, list):
            return "must be one text with commas in it, such as 'one,two'"
        if option.choices:
            return f"must be one of {describe_choices(option.choices)}, in quotation marks"
        return f"must be {_NAMES_OF_TYPES[kinds[0]]}{also}"
    if value == "":
        return "is empty"
    if isinstance(value, str) and "\0" in value:
        return "contains a NUL, which no name may have"
    return ""


def _find_mistake_in_list(value: object) -> str:
    """Return what is wrong with a list of texts; nothing if it is right."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return 'must be a list of texts, such as ["one", "two"], or one text'
    return next((mistake for one in value if (mistake := _find_mistake(one, _TEXT, ""))), "")


_LISTS: Final = frozenset(("folders", "patterns", "hosts", "networks", "origins", "paths"))
"""What a text with commas is a list of."""
_TEXT: Final = Option((), "", "")
_KINDS: Final[dict[type, tuple[type, ...]]] = {bool: (bool,), int: (int,), float: (float, int)}
_NAMES_OF_TYPES: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotation marks",
}
_ALSO: Final = {"octets": ", or a size such as '64k'", "seconds": ", or a duration such as '10s'"}


def find_key(option: Option) -> str:
    """Return the key of an option: its long name without dashes."""
    long = next(flag for flag in option.flags if flag.startswith("--"))
    return long.partition("/")[0].removeprefix("--")


_KEY: Final = re.compile(
    r"""[ \t]*\[{0,2}[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*[=.\]]"""
)


def _read_key(line: str) -> str | None:
    found = _KEY.match(line)
    return None if found is None else found[1] or found[2] or found[3]


def _find_key_before(text: str, line: int) -> str | None:
    """Return the last key in the text down to a line."""
    keys = [key for each in text.split("\n")[:line] if (key := _read_key(each))]
    return keys[-1] if keys else None


def _find_place(path: Path, text: str, key: str, *, is_shown: bool = True) -> str:
    """Return the file and the line where a key of the outermost table stands, and the key.

    A line within a text of several lines may look like one with a key: what is before it is no TOML
    then.
    """
    shown = f": {key}" if is_shown else ""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if _read_key(line) == key and _is_toml("\n".join(lines[:index])):
            return f"{path}:{index + 1}{shown}"
    return f"{path}{shown}"


def _find_site_place(path: Path, text: str, number: int, key: str) -> str:
    """Return the file and the line where a key of a table ``[[site]]`` stands, or the table itself."""
    begin = None
    for index, line in enumerate(text.split("\n")):
        if line.lstrip().startswith("["):
            if begin is not None:
                break
            number -= _SITE_HEADER.match(line) is not None
            begin = index if number < 0 else None
        elif begin is not None and _read_key(line) == key:
            return f"{path}:{index + 1}"
    return f"{path}" if begin is None else f"{path}:{begin + 1}"


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True
