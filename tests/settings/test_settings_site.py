"""The settings of a site: some of the options, by the same names."""

from typing import Any

import pytest

from epollo.settings import (
    Settings,
    SiteSettings,
    select_sites,
)
from epollo.settings.dumped import dump_settings, load_settings

SETTINGS = Settings(
    root="/srv/site",
    listing="on",
    kept_octets_limit=5,
    compress=False,
    cache_control="no-store",
)


def test_the_one_site_has_the_settings_of_the_options() -> None:
    (site,) = select_sites(SETTINGS)
    assert site == SiteSettings(
        root="/srv/site",
        listing="on",
        kept_octets_limit=5,
        compress=False,
        cache_control="no-store",
    )


def test_a_table_says_what_differs_from_the_options() -> None:
    """Its values are as TOML and JSON have them."""
    table = {
        "hosts": ["a.example"],
        "default": False,
        "root": "/a",
        "media_types": ["a=text/plain"],
    }
    (site,) = select_sites(SETTINGS.replace(sites=(table,)))
    assert site == select_sites(SETTINGS)[0].replace(root="/a", media_types=("a=text/plain",))


@pytest.mark.parametrize(
    ("name", "value"), [("port", 1), ("cache_octets", 1), ("sandbox", "off"), ("recall", False)]
)
def test_settings_of_the_server_are_no_site_s(name: str, value: Any) -> None:
    assert select_sites(SETTINGS.replace(**{name: value})) == select_sites(SETTINGS)


def test_a_worker_has_the_same_sites_as_its_parent() -> None:
    assert select_sites(load_settings(dump_settings(SETTINGS))) == select_sites(SETTINGS)
