"""Every option once: its name, its type, its default, its group and its manual.

The command line, its ``--help`` and ``docs/reference.md`` are made from these tables, each about one
subject: `SiteSettings`, `ListenerSettings`, `ServerSettings`. A test compares them.
"""

from collections.abc import Iterator

from epollo.annotations import Any
from epollo.settings.listener import ListenerSettings
from epollo.settings.option import Option
from epollo.settings.record import Record
from epollo.settings.server import ServerSettings
from epollo.settings.site import SiteSettings

__all__ = (
    "Settings",
    "SiteSettings",
    "list_options",
    "restore",
    "select_clients",
    "select_hosts",
    "select_sites",
)


class Settings(SiteSettings, ListenerSettings, ServerSettings):
    """What an operator can decide.

    Without tables of sites there is one site, whose settings these are; with them, each site has them for
    what its table does not say.
    """

    sites: tuple[dict[str, Any], ...] = ()
    """The tables ``[[site]]`` of the settings file: ``hosts``, ``default``, settings by their names."""


def list_options(kind: type[Record] = Settings) -> dict[str, tuple[Option, Any]]:
    """Return every option of a class of settings and its default, by the name of its setting."""
    return kind.options


def select_sites(settings: Settings) -> tuple[SiteSettings, ...]:
    """Return the settings of each site."""
    given = {name: getattr(settings, name) for name in list_options(SiteSettings)}
    return tuple(
        SiteSettings(**given | {name: value for name, value in restore(site) if name in given})
        for site in settings.sites or ({},)
    )


def select_hosts(settings: Settings) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Return the patterns of the hosts of each site, and whether it answers for all others."""
    return tuple((tuple(site["hosts"]), bool(site["default"])) for site in settings.sites)


def select_clients(settings: Settings) -> tuple[tuple[tuple[str, str], ...], tuple[int, ...]]:
    """Return the ways in which clients are verified, and the number of the way of each site.

    A way is a file of authorities, and whether a certificate of theirs is ``require`` or ``optional``;
    two empty texts where none is asked for.
    """
    of_sites = [
        (site.tls_client_ca, site.tls_client_auth if site.tls_client_ca else "")
        for site in select_sites(settings)
    ]
    ways = tuple(dict.fromkeys(of_sites))
    return ways, tuple(map(ways.index, of_sites))


def restore(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield settings as their types have them: TOML and JSON have neither tuples nor paths."""
    for name, value in values.items():
        yield name, tuple(value) if isinstance(value, list) else value
