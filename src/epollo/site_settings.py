"""What an operator decides of one site; all other settings are the server's.

`Settings` is the table of what can be typed. A site has a root and rules of its own; the addresses, the
limits of connections and the memory are shared by all sites of a server.
"""

from pathlib import Path
from typing import Any, NamedTuple

from epollo.settings import Settings


class SiteSettings(NamedTuple):
    """The settings of one site, by their names in `Settings`."""

    root: Path
    listing: str
    kept_octets_limit: int
    compress: bool
    cache_control: str
    clean_urls: bool
    spa: bool
    auth: str
    auth_paths: str
    cors: str
    isolate: bool
    media_types: tuple[str, ...]
    default_type: str
    charset: str
    follow_links: str
    allow_hidden: str


def select_sites(settings: Settings) -> tuple[SiteSettings, ...]:
    """Return the settings of each site: of those in the settings file, or of the one of the options.

    What the table of a site does not say is as the options are.
    """
    return tuple(
        SiteSettings(
            *(_read(site.get(name, getattr(settings, name)), name) for name in SiteSettings._fields)
        )
        for site in settings.sites or ({},)
    )


def select_hosts(settings: Settings) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Return the patterns of the hosts of each site, and whether it answers for all others."""
    return tuple((tuple(site["hosts"]), bool(site["default"])) for site in settings.sites)


def _read(value: Any, name: str) -> Any:
    """Return a value as the settings have it, also after it has passed through JSON."""
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if name == "root" else value
