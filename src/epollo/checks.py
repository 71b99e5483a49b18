"""What can be known to be wrong with settings before a socket is opened.

If the folder is mistyped, the operator is told so, even if the port is taken too. The order is that of
`_SITE_CHECKS` and `_SERVER_CHECKS`: what is served, then for which peers, as which user, under which
restriction, with which log. A check only looks: it gives up no right and leaves nothing open. Settings
that have their defaults are right and are not looked at; each check loads what it needs.
"""

import os
from collections.abc import Callable

from epollo.annotations import Final, TypeVar
from epollo.errors import OperatorError
from epollo.patterns import compile_late
from epollo.settings import Settings, SiteSettings, list_options, select_clients, select_sites
from epollo.settings.listener import ListenerSettings
from epollo.site.folder import open_root

Kind = TypeVar("Kind", bound=SiteSettings)
Checks = tuple[tuple[Callable[[Kind], None], tuple[str, ...]], ...]
"""Checks in their order, each with the settings that it is about; a mistake is of the first."""


def check_settings(settings: Settings) -> None:
    """Raise `OperatorError` for the first mistake; it names the setting."""
    for number, site in enumerate(select_sites(settings)):
        of_site = number if settings.sites else None
        _check(_check_root, site, "root", of_site)
        for check, names in _SITE_CHECKS:
            if any(getattr(site, name) != site.defaults[name] for name in names):
                _check(check, site, names[0], of_site)
    for check_all, names in _SERVER_CHECKS:
        # Tables of sites may say of each what is a default here.
        if settings.sites or any(getattr(settings, one) != settings.defaults[one] for one in names):
            _check(check_all, settings, names[0])


def _check(
    check: Callable[[Kind], None], settings: Kind, name: str, site: int | None = None
) -> None:
    try:
        check(settings)
    except OperatorError as mistake:
        number = mistake.site if site is None else site
        raise OperatorError(str(mistake), mistake.setting or name, number) from None


def _check_root(settings: SiteSettings) -> None:
    path = os.fspath(settings.root)
    os.close(open_root(path, path))


def _check_follow_links(settings: SiteSettings) -> None:
    from epollo.site.reach import parse_reach  # noqa: PLC0415

    parse_reach("", settings.follow_links)


def _check_allow_hidden(settings: SiteSettings) -> None:
    from epollo.site.reach import parse_reach  # noqa: PLC0415

    parse_reach(settings.allow_hidden, "")


def _check_allowed_hosts(settings: Settings) -> None:
    from epollo.site.hosts import split_hosts  # noqa: PLC0415

    try:
        split_hosts(settings.allowed_hosts)
    except ValueError as mistake:
        raise OperatorError(str(mistake)) from None


def _check_proxies(settings: Settings) -> None:
    from epollo.connections.networks import parse_networks  # noqa: PLC0415

    parse_networks(settings.proxies)
    if settings.has_proxy_protocol or settings.forwarded != "off":
        return
    if settings.proxies != list_options(ListenerSettings)["proxies"][1]:
        raise OperatorError("--proxy-from is of no use without --proxy-protocol or --forwarded")


def is_within_reach(settings: SiteSettings, name: str) -> bool:
    """Return whether a file would be served by a site."""
    from epollo.site.reach import parse_reach  # noqa: PLC0415
    from epollo.site.resolve import is_hidden  # noqa: PLC0415

    reach = parse_reach(settings.allow_hidden, settings.follow_links)
    path = os.path.realpath(name)
    for folder in (os.fspath(settings.root), *map(os.fsdecode, reach.folders)):
        above = os.path.join(os.path.realpath(folder), "")
        # A folder is no file, the root as little as another.
        if path.startswith(above) and path != above:
            inside = path.removeprefix(above).split("/")
            if not is_hidden(tuple(map(os.fsencode, inside)), reach):
                return True
    return False


def _check_auth(settings: SiteSettings) -> None:
    if not settings.auth:
        return
    # Here alone: no other server needs what passwords need.
    from epollo.site.access.hashes import Hashes  # noqa: PLC0415
    from epollo.site.access.password_file import (  # noqa: PLC0415
        describe_mistakes,
        read_password_file,
    )

    if ":" in settings.auth and not os.path.lexists(settings.auth):
        # Not repeated: it may be a user and a password.
        raise OperatorError("--auth takes a file, as htpasswd -B -c FILE USER writes it")
    octets = read_password_file(settings.auth)
    for mistake in describe_mistakes(settings.auth, octets, Hashes().find_mistake):
        raise OperatorError(mistake)


def _check_secrets(settings: Settings) -> None:
    """Raise where a site, also another than it is for, would serve a password file or a key."""
    sites = select_sites(settings)
    for number, site in enumerate(sites):
        if site.auth:
            _check_secret(
                sites, "password file", site.auth, "auth", number if settings.sites else None
            )
    for key in settings.tls_keys:
        _check_secret(sites, "key", key, "tls_keys", None)


def _check_secret(
    sites: tuple[SiteSettings, ...], kind: str, name: str, setting: str, site: int | None
) -> None:
    if any(is_within_reach(one, name) for one in sites):
        raise OperatorError(
            f"the {kind} {name} is in the folder that is served; move it elsewhere", setting, site
        )


def _check_media_types(settings: SiteSettings) -> None:
    from epollo.site.media_types import parse_media_types  # noqa: PLC0415

    parse_media_types(settings.media_types, settings.default_type, settings.charset)


def _check_auth_paths(settings: SiteSettings) -> None:
    from epollo.site.access.realm import parse_prefixes  # noqa: PLC0415

    prefixes = parse_prefixes(settings.auth_paths)
    if prefixes != ((),) and not settings.auth:
        raise OperatorError("--auth-paths protects nothing without --auth, the file of passwords")


def _check_cors(settings: SiteSettings) -> None:
    from epollo.http.cross_origin import parse_origins  # noqa: PLC0415

    try:
        parse_origins(settings.cors or "any")
    except ValueError as mistake:
        raise OperatorError(str(mistake)) from None


def _check_user(settings: Settings) -> None:
    from epollo.linux.privileges import require_root, resolve_identity  # noqa: PLC0415

    if settings.user:
        require_root(resolve_identity(settings.user))


def _check_sandbox(settings: Settings) -> None:
    if settings.sandbox != "on":
        return
    if settings.workers == "0" and any(site.auth for site in select_sites(settings)):
        raise OperatorError(
            "--auth with --sandbox on takes --workers 1 or more: a process in the sandbox cannot read "
            "the password file again"
        )
    from epollo.linux.confinement import require_landlock  # noqa: PLC0415

    require_landlock()


def _check_access_log(settings: Settings) -> None:
    from epollo.access_log.destination import check_destination  # noqa: PLC0415

    if settings.access_log:
        check_destination(settings.access_log)
    elif settings.access_log_format != list_options()["access_log_format"][1]:
        raise OperatorError(
            "--access-log-format is of no use without --access-log (--access-log - is stdout)",
            "access_log_format",
        )


def _check_certificates(settings: Settings) -> None:
    certificates, keys = settings.tls_certificates, settings.tls_keys
    if len(certificates) != len(keys):
        # One of each is of our own making.
        given = [len(files) - settings.tls_self_signed for files in (certificates, keys)]
        raise OperatorError(
            f"each --tls-cert needs a --tls-key, in the same order: {given[0]} and {given[1]} were given"
        )
    if settings.acme:
        _check_acme(settings)
    else:
        _refuse_without_acme(settings)
        if (settings.tls_port or settings.hsts_seconds) and not certificates:
            raise OperatorError(
                "--tls-port and --hsts need a certificate: --tls-cert and --tls-key, --tls-self-signed "
                "or --acme",
                "tls_port" if settings.tls_port else "hsts_seconds",
            )
    if settings.tls_port and settings.unix:
        raise OperatorError("--tls-port listens on an address; it cannot go with --unix")
    if settings.tls_port and settings.tls_port == settings.port:
        raise OperatorError(
            "--tls-port and --port are the same; without --tls-port, --port speaks https"
        )
    if certificates:
        # Here alone: a server without TLS needs nothing of the library.
        from epollo.transports.certificates import Certificates  # noqa: PLC0415
        from epollo.transports.pairs import read_pairs  # noqa: PLC0415

        Certificates(read_pairs(certificates, keys))


def _check_library(settings: Settings) -> None:
    if settings.tls_library == "openssl":
        return
    if not (settings.tls_certificates or settings.acme):
        raise OperatorError(
            "--tls-library needs https: --tls-cert and --tls-key, --tls-self-signed or --acme",
            "tls_library",
        )
    # Here alone: it is not installed for most.
    from epollo.transports.pairs import read_pairs  # noqa: PLC0415
    from epollo.transports.rustls_session import find_hindrance  # noqa: PLC0415

    pairs = read_pairs(settings.tls_certificates, settings.tls_keys)
    if not settings.acme and (hindrance := find_hindrance(pairs)):
        raise OperatorError(f"--tls-library rustls is of no use: {hindrance}", "tls_library")
    if all(path for path, _ in select_clients(settings)[0]):
        raise OperatorError(
            "--tls-library rustls is of no use with --tls-client-ca: it asks no client for a certificate",
            "tls_library",
        )


def _check_client_authorities(settings: Settings) -> None:
    sites = select_sites(settings)
    for number, site in enumerate(sites):
        try:
            _check_clients_of(site, has_tls=bool(settings.tls_certificates or settings.acme))
        except OperatorError as mistake:
            raise OperatorError(
                str(mistake), "tls_client_ca", number if settings.sites else None
            ) from None
    # What is said for all sites is of use to those that have authorities.
    given = settings.sites or ({"tls_client_auth": settings.tls_client_auth},)
    has_authorities = any(site.tls_client_ca for site in sites)
    for number, (table, site) in enumerate(zip(given, sites, strict=True)):
        is_own = table.get("tls_client_auth", "require") != "require"
        is_said = is_own or (site.tls_client_auth != "require" and not has_authorities)
        if is_said and not site.tls_client_ca:
            raise OperatorError(
                "--tls-client-auth needs a --tls-client-ca",
                "tls_client_auth",
                number if settings.sites and is_own else None,
            )


def _check_clients_of(site: SiteSettings, *, has_tls: bool) -> None:
    if not site.tls_client_ca:
        return
    if not has_tls:
        raise OperatorError(
            "--tls-client-ca needs https: --tls-cert and --tls-key, --tls-self-signed or --acme"
        )
    # Here alone: a server without TLS needs nothing of the library.
    from epollo.transports.client_certificates import check_authorities  # noqa: PLC0415
    from epollo.transports.pairs import read_client_authorities  # noqa: PLC0415

    clients = read_client_authorities(site.tls_client_ca, site.tls_client_auth)
    assert clients is not None  # noqa: S101 - there is a path
    check_authorities(clients)


def _refuse_without_acme(settings: Settings) -> None:
    """Raise where a setting asks something of an authority, and none is to be asked."""
    for name, (option, default) in list_options(ListenerSettings).items():
        if name in _ACME_ALONE and getattr(settings, name) != default:
            raise OperatorError(f"{option.flags[0]} is of no use without --acme", name)


def _check_acme(settings: Settings) -> None:
    if "@" not in settings.acme:
        raise OperatorError(
            f"{settings.acme!r} is no address of email, such as me@example.org", "acme"
        )
    if not settings.domains:
        raise OperatorError("--acme needs a --domain: the name to obtain a certificate for", "acme")
    if settings.workers == "0":
        raise OperatorError(
            "--acme needs --workers: the parent of workers obtains certificates", "acme"
        )
    for name in settings.domains:
        if mistake := _find_domain_mistake(name):
            raise OperatorError(f"{name!r} {mistake}", "domains")
    directory = settings.acme_directory
    if directory not in {"production", "staging"} and not directory.startswith("https://"):
        raise OperatorError(
            f"{directory!r} is no directory: production, staging, or a URL of https",
            "acme_directory",
        )
    # Here alone: nothing else needs the package.
    from epollo.acme.keeper import check_authority  # noqa: PLC0415

    check_authority(settings.acme_ca)


def _find_domain_mistake(name: str) -> str:
    """Return why no certificate is obtained for a name; nothing if one is."""
    if name.startswith("*."):
        return "is a wildcard, which needs a proof in the DNS: use certbot or lego, and --tls-cert"
    if not name.isascii():
        return "has letters that are written in ASCII here (xn--...)"
    if _DIGITS_LAST.search(name) or ":" in name:
        return "is an address; a certificate is obtained for names"
    return (
        "" if _DOMAIN.fullmatch(name.lower()) else "is no name of a host, such as www.example.org"
    )


# No name ends so, and an address of IPv4 does (RFC 1123 section 2.1).
_DIGITS_LAST: Final = compile_late(r"(?:\A|\.)[0-9]+\Z")
_ACME_ALONE: Final = ("domains", "acme_directory", "acme_ca", "acme_profile")
_DOMAIN: Final = compile_late(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_SITE_CHECKS: Final[Checks[SiteSettings]] = (
    (_check_media_types, ("media_types", "default_type", "charset")),
    (_check_auth_paths, ("auth_paths",)),
    (_check_cors, ("cors",)),
    (_check_follow_links, ("follow_links",)),
    (_check_allow_hidden, ("allow_hidden",)),
    (_check_auth, ("auth",)),
)
_SERVER_CHECKS: Final[Checks[Settings]] = (
    (_check_secrets, ("auth", "tls_keys")),
    (_check_allowed_hosts, ("allowed_hosts",)),
    (_check_proxies, ("proxies",)),
    (_check_user, ("user",)),
    (_check_sandbox, ("sandbox",)),
    (_check_access_log, ("access_log", "access_log_format")),
    (
        _check_certificates,
        ("tls_certificates", "tls_keys", "acme", "tls_port", "hsts_seconds", *_ACME_ALONE),
    ),
    (_check_client_authorities, ("tls_client_ca", "tls_client_auth")),
    (_check_library, ("tls_library",)),
)
