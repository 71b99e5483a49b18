"""Settings are values."""

from typing import Any

import pytest

from epollo.settings import Settings, SiteSettings


def test_a_setting_that_is_not_given_has_its_default() -> None:
    assert (Settings(port=1).host, Settings.host) == ("127.0.0.1", "127.0.0.1")


def test_settings_with_the_same_values_are_equal() -> None:
    assert Settings() == Settings(port=7890)
    assert Settings() != Settings(port=1)
    assert Settings() != SiteSettings()


def test_a_replacement_leaves_the_first_as_it_was() -> None:
    first = Settings(port=1, listing="on")
    assert first.replace(port=2) == Settings(port=2, listing="on")
    assert first == Settings(port=1, listing="on")


def test_what_is_no_setting_is_refused() -> None:
    unknown: dict[str, Any] = {"prot": 1}
    with pytest.raises(TypeError, match="prot"):
        Settings(**unknown)
    with pytest.raises(TypeError, match="prot"):
        Settings().replace(prot=1)


def test_nothing_changes_a_setting() -> None:
    settings = Settings()
    with pytest.raises(AttributeError, match="port"):
        setattr(settings, "port", 1)  # noqa: B010
    assert settings == Settings()


def test_settings_show_what_is_no_default() -> None:
    assert repr(Settings(port=1)) == "Settings(port=1)"
