"""Settings as text for another process."""

import os

import pytest

from epollo.settings import Settings
from epollo.settings.dumped import dump_settings, load_settings


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(root="/srv/with space/ünï\n", host="::", workers="auto", quiet=True),
        Settings(root=os.fsdecode(b"/not \xff text"), unix=os.fsdecode(b"\xfe")),
        Settings(grace_seconds=0.1, idle_seconds=1e-9 + 1, compress=False),
    ],
)
def test_what_is_dumped_is_loaded(settings: Settings) -> None:
    text = dump_settings(settings)
    assert text.isascii()
    assert load_settings(text) == settings
