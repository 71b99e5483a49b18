"""The settings file: what it says, and where a mistake stands in it."""

from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.settings import Settings, list_options
from epollo.settings_file import read_settings_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "epollo.toml"


def test_a_file_with_everything(file: Path) -> None:
    """Each default that is not empty, under the long name of its option, is read as the same setting."""
    lines = []
    given = {name: one for name, one in list_options().items() if one[1] not in {"", ()}}
    for option, default in given.values():
        flag = next(flag for flag in option.flags if flag.startswith("--"))
        key = flag.partition("/")[0].removeprefix("--")
        value = str(default).lower() if isinstance(default, bool) else default
        lines.append(f"{key} = {value if isinstance(default, int | float) else repr(str(value))}")
    file.write_text("\n".join(lines))
    read = read_settings_file(file).values
    assert set(read) == set(given)
    assert Settings(**read) == Settings()


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("# a comment\nport = 80\nidle-timeout = 75", {"port": 80, "idle_seconds": 75}),
        ("grace = 0.5\nquiet = true", {"grace_seconds": 0.5, "quiet": True}),
        ("workers = 2", {"workers": "2"}),
        ("workers = 'auto'\ncompress = false", {"workers": "auto", "compress": False}),
        ("directory = 'site'\nhost = '::'", {"root": "site", "host": "::"}),
        ("cache-size = '256M'\ngrace = '10s'", {"cache_octets": 2**28, "grace_seconds": 10.0}),
        ("min-rate = '1k'", {"slowest_octets_per_second": 1024}),
        ("listing = 'ON'", {"listing": "on"}),
    ],
)
def test_keys_are_the_names_of_options(file: Path, text: str, settings: dict[str, object]) -> None:
    file.write_text(text)
    assert repr(read_settings_file(file).values) == repr(settings)


@pytest.mark.parametrize(
    ("octets", "place", "reason"),
    [
        (
            b"colour = 'red'",
            ":1: ",
            "there is no setting colour; epollo --help lists the options",
        ),
        (b"\nidle_seconds = 1", ":2: ", "there is no setting idle_seconds"),
        (b"idle_timeout = 1", ":1: ", "there is no setting idle_timeout; is idle-timeout meant?"),
        (b"prot = 1", ":1: ", "there is no setting prot; is port meant?"),
        (b"PORT = 1", ":1: ", "there is no setting PORT; is port meant?"),
        (
            b"no-compress = true",
            ":1: ",
            "there is no setting no-compress; is compress = false meant?",
        ),
        (b"config = 'other'", ":1: ", "there is no setting config;"),
        (b"port = 80\n[server]\nport = 80", ":2: ", "there is no table .server.; options stand"),
        (b"[[server]]\nport = 80", ":1: ", "there is no setting server"),
        (b"server.port = 80", ":1: ", "there is no table .server.; options stand"),
        (b"# port = 1\n\nport = '80'", ":3: ", "port must be a whole number"),
        (b"\r\n\r\nport = '80'\r\n", ":3: ", "port must be a whole number"),
        (b"'port' = 80.0", ":1: ", "port must be a whole number"),
        (b'  "port"=true', ":1: ", "port must be a whole number"),
        (b'user = """\nport = 1\n"""\nport = true', ":4: ", "port must be a whole number"),
        (b"user = '''\nport = 1\n'''\nport = true", ":4: ", "port must be a whole number"),
        (b"quiet = 1", ":1: ", "quiet must be true or false"),
        (b"port = ['1']", ":1: ", "port must be a whole number"),
        (b"grace = true", ":1: ", "grace must be a number, or a duration such as '10s'"),
        (b"cache-size = 1.5", ":1: ", "cache-size must be a whole number, or a size"),
        (b"host = 127", ":1: ", "host must be a text"),
        (b"host = ''", ":1: ", "host is empty"),
        (b'unix = "a\\u0000b"', ":1: ", "unix contains a NUL"),
        (b"directory = ['a', 'b']", ":1: ", "directory must be a text"),
        (b"workers = true", ":1: ", "workers must be one of auto, 0 to 256, in quotation marks"),
        (b"port = 80\nport = 81", ":2: ", "port stands here a second time"),
        (b"host = '::'\nport = [1,\n", ":2, key port: ", "this is not TOML: .* at the end"),
        (b"host = '::'\nport = \n", ":2, key port: ", "this is not TOML: .* at column 8"),
        (b"nonsense", ":1: ", "this is not TOML"),
        (b"port = 80\nhost = '\xff'", ":2: ", "this is not TOML: it is not UTF-8"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_place(
    file: Path, octets: bytes, place: str, reason: str
) -> None:
    file.write_bytes(octets)
    with pytest.raises(OperatorError, match=reason) as refused:
        read_settings_file(file)
    assert str(refused.value).startswith(f"{file}{place}")
    assert "\n" not in str(refused.value)


def test_what_is_nested_too_deeply_is_no_traceback(file: Path) -> None:
    file.write_text(f"port = {'[' * 3000}")
    with pytest.raises(OperatorError, match="this is not TOML: it is nested too deeply"):
        read_settings_file(file)


def test_the_place_of_a_setting_is_found_by_its_name(file: Path) -> None:
    file.write_text("# directory\nport = 80\ndirectory = 'a'\nidle-timeout = 75\n")
    read = read_settings_file(file)
    assert read.find_place("root") == f"{file}:3: directory"
    assert read.find_place("idle_seconds") == f"{file}:4: idle-timeout"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OperatorError, match=f"cannot read {path}: "):
            read_settings_file(path)


def test_a_mark_of_the_byte_order_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xef\xbb\xbfport = 1\r\n\r\n")
    assert read_settings_file(path).values == {"port": 1}


def test_a_file_without_end_is_one_line() -> None:
    with pytest.raises(OperatorError, match="/dev/zero is no settings file: it is over 16 MiB"):
        read_settings_file(Path("/dev/zero"))
