"""What an operator decides of one site; all other settings are the server's.

`Settings` is the table of what can be typed. A site has a root and rules of its own; the addresses, the
limits of connections and the memory are shared by all sites of a server.
"""

from pathlib import Path
from typing import NamedTuple

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
    """Return the settings of each site: of the one that the options describe."""
    return (SiteSettings(*(getattr(settings, name) for name in SiteSettings._fields)),)
