"""Settings: as text for another process, and from a file."""

import math
import os
from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.settings import (
    Settings,
    dump_settings,
    list_options,
    load_settings,
    read_settings_file,
)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(root=Path("/srv/with space/ünï\n"), host="::", workers="auto", quiet=True),
        Settings(root=Path(os.fsdecode(b"/not \xff text")), unix=os.fsdecode(b"\xfe")),
        Settings(grace_seconds=0.1, idle_seconds=1e-9 + 1, compress=False),
    ],
)
def test_what_is_dumped_is_loaded(settings: Settings) -> None:
    text = dump_settings(settings)
    assert text.isascii()
    assert load_settings(text) == settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "epollo.toml"


def test_a_file_with_everything(file: Path) -> None:
    """Each option's default, written under its long name, is read as the same setting."""
    lines = []
    for option, default in list_options().values():
        flag = next(flag for flag in option.flags if flag.startswith("--"))
        key = flag.partition("/")[0].removeprefix("--")
        value = str(default).lower() if isinstance(default, bool) else default
        lines.append(f"{key} = {value if isinstance(default, int | float) else repr(str(value))}")
    file.write_text("\n".join(lines))
    read = read_settings_file(file)
    assert set(read) == set(list_options())
    assert Settings(**{**read, "root": Path(read["root"])}) == Settings()


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("# a comment\nport = 80\nidle-timeout = 75", {"port": 80, "idle_seconds": 75}),
        ("grace = 0.5\nquiet = true", {"grace_seconds": 0.5, "quiet": True}),
        ("workers = 2", {"workers": "2"}),
        ("workers = 'auto'\ncompress = false", {"workers": "auto", "compress": False}),
        ("directory = 'site'\nhost = '::'", {"root": "site", "host": "::"}),
        ("idle-timeout = nan", {"idle_seconds": math.nan}),
    ],
)
def test_keys_are_the_names_of_options(file: Path, text: str, settings: dict[str, object]) -> None:
    file.write_text(text)
    assert repr(read_settings_file(file)) == repr(settings)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"colour = 'red'", "there is no setting colour"),
        (b"idle_seconds = 1", "there is no setting idle_seconds"),
        (b"no-compress = true", "there is no setting no-compress"),
        (b"config = 'other'", "there is no setting config"),
        (b"[server]\nport = 80", "there is no setting server"),
        (b"port = '80'", "port is to be a number without a fraction"),
        (b"port = 80.0", "port is to be a number without a fraction"),
        (b"port = true", "port is to be a number without a fraction"),
        (b"quiet = 1", "quiet is to be true or false"),
        (b"grace = '1'", "grace is to be a number"),
        (b"grace = true", "grace is to be a number"),
        (b"host = 127", "host is to be a text"),
        (b"directory = ['a', 'b']", "directory is to be a text"),
        (b"workers = true", "workers is to be a text"),
        (b"port = 80\nport = 81", "is not TOML"),
        (b"nonsense", "is not TOML"),
        (b"host = '\xff'", "is not TOML"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_name(
    file: Path, octets: bytes, reason: str
) -> None:
    file.write_bytes(octets)
    with pytest.raises(OperatorError, match=reason) as refused:
        read_settings_file(file)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OperatorError, match=f"cannot read {path}: "):
            read_settings_file(path)
