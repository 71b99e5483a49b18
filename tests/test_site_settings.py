"""The settings of a site: some of the options, by the same names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from epollo.settings import Settings, dump_settings, list_options, load_settings
from epollo.site_settings import SiteSettings, select_sites

SETTINGS = Settings(
    root=Path("/srv/site"),
    listing="on",
    kept_octets_limit=5,
    compress=False,
    cache_control="no-store",
)


def test_a_site_has_the_settings_that_the_options_describe() -> None:
    (site,) = select_sites(Settings())
    described = site._replace(
        root=Path("/srv/site"),
        kept_octets_limit=5,
        compress=False,
        cache_control="no-store",
        listing="on",
    )
    assert select_sites(SETTINGS) == (described,)


@pytest.mark.parametrize("name", SiteSettings._fields)
def test_each_setting_of_a_site_is_an_option(name: str) -> None:
    _, default = list_options()[name]
    (site,) = select_sites(Settings())
    assert getattr(site, name) == default
    assert type(getattr(site, name)) is type(default)


@pytest.mark.parametrize(
    ("name", "value"), [("port", 1), ("cache_octets", 1), ("sandbox", "off"), ("recall", False)]
)
def test_settings_of_the_server_are_no_site_s(name: str, value: Any) -> None:
    assert select_sites(replace(SETTINGS, **{name: value})) == select_sites(SETTINGS)


def test_a_worker_has_the_same_sites_as_its_parent() -> None:
    assert select_sites(load_settings(dump_settings(SETTINGS))) == select_sites(SETTINGS)
