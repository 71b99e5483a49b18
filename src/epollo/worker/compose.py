"""What a worker is made of, each part from the settings that concern it."""

import contextlib
import os
from collections.abc import Callable

from epollo.annotations import TYPE_CHECKING
from epollo.budget import Budget
from epollo.connections.contract import AccessLog, Capacity, Responder, Timeouts
from epollo.connections.service import Service
from epollo.http.caching import NO_CACHE_FIELD
from epollo.loop import EventLoop
from epollo.protocols.http1 import HeadReader, Limits
from epollo.settings import Settings, SiteSettings, select_clients, select_sites
from epollo.site.cache_policy import CachePolicy
from epollo.site.candidates import Paths
from epollo.site.catalogue import Catalogue
from epollo.site.events import Events
from epollo.site.https_redirect import HttpsRedirect
from epollo.site.listing.builds import Builds
from epollo.site.media_types import parse_media_types
from epollo.site.policy import Policy
from epollo.site.reach import parse_reach
from epollo.site.rulebook import Rulebook
from epollo.transports import format_scope

if TYPE_CHECKING:
    # A server without TLS needs nothing of the library.
    from epollo.worker.proxies import TrustedProxies
    from epollo.worker.secure import Secure


def open_catalogue(
    site: SiteSettings,
    budget: Budget,
    loop: EventLoop,
    report: Callable[[str], None],
    on_root_out_of_reach: Callable[[str, bool], None],
    *,
    events: Events | None = None,
    kind: type[Catalogue] = Catalogue,
) -> Catalogue:
    """Return the resources of the folder of a site, kept in memory within the budget.

    ``events`` are those of all sites; without them it has its own.

    Raises `OperatorError` if it is no folder that can be read.
    """
    catalogue = kind(
        site.root,
        loop.clock,
        report,
        on_root_out_of_reach,
        budget=budget,
        kept_octets_limit=site.kept_octets_limit,
        reach=parse_reach(site.allow_hidden, site.follow_links),
        media_types=parse_media_types(site.media_types, site.default_type, site.charset),
        events=events,
    )
    catalogue.listings.background = Builds(loop.call_again)
    catalogue.deferred_release.call_again = loop.call_again
    return catalogue


def _leave(line: str) -> None:
    """Leave a line to another worker."""


def open_rulebook(
    site: SiteSettings,
    catalogue: Catalogue,
    loop: EventLoop,
    report: Callable[[str], None],
    *,
    tells_mistakes: bool = True,
) -> Rulebook:
    """Return the rules of a site: those of its settings, and those that it has in files.

    ``tells_mistakes`` is whether the operator is told of mistakes in these; another worker may do so.
    """
    cache_policy = CachePolicy(site.cache_control, report)
    paths = Paths(site.clean_urls, site.spa, parse_reach(site.allow_hidden, site.follow_links))
    cross_origin = ((b"cors", site.cors.encode()), (b"isolate", b"on" if site.isolate else b""))
    added_fields = tuple(line for line in cross_origin if line[1])
    return Rulebook(
        catalogue,
        loop.clock,
        lambda rules: Policy(cache_policy, rules, paths, added_fields),
        report if tells_mistakes else _leave,
        os.fspath(site.root),
    )


def load_hosts(settings: Settings) -> None:
    """Load what looks at hosts, for a server that has to: a module cannot be read in a sandbox."""
    if settings.sites or settings.allowed_hosts:
        import epollo.site.hosts  # noqa: F401, PLC0415


def select_responder(
    settings: Settings, respond: Responder, find_secure: "Callable[[], Secure | None]"
) -> Responder:
    """Return what answers requests: the sites, behind what looks at hosts and at the scheme.

    Plain HTTP may lead to https, and hosts that are not allowed get nothing, not even a redirect.
    """

    def is_ready() -> bool:
        secure = find_secure()
        return secure is not None and secure.is_ready

    def find_token(token: str) -> str | None:
        secure = find_secure()
        return None if secure is None else secure.find_token(token)

    if settings.tls_port or settings.acme:
        respond = HttpsRedirect(
            respond,
            settings.tls_port,
            is_ready,
            find_token,
        ).respond
    if settings.allowed_hosts:
        # See `load_hosts`.
        from epollo.site.hosts import AllowedHosts, split_hosts  # noqa: PLC0415

        allowed = split_hosts(settings.allowed_hosts)
        respond = AllowedHosts(allowed, respond, (NO_CACHE_FIELD,)).respond
    return respond


def make_service(
    settings: Settings,
    loop: EventLoop,
    respond: Responder,
    log: AccessLog | None,
    *,
    relevant_fields: frozenset[bytes],
    budget: Budget,
    needs_addresses: bool,
    proxies: "TrustedProxies | None",
    look_for_changes: Callable[[], None],
    connections_limit: int,
) -> Service:
    """Return what all connections share.

    ``relevant_fields`` are those that an answer may depend on (`Policy`). ``needs_addresses`` is whether
    the site waits on behalf of the address of a client. ``proxies`` are those in front, if any.
    ``connections_limit`` is how many suit the descriptors of this process, for settings without one.
    """
    limits = Limits(
        settings.request_line_octets_limit,
        settings.head_octets_limit,
        settings.fields_limit,
        settings.content_octets_limit,
    )
    return Service(
        loop,
        respond,
        HeadReader(limits, relevant_fields),
        timeouts=Timeouts(
            head=settings.head_seconds,
            idle=settings.idle_seconds,
            send=settings.send_seconds,
            octets_per_second=settings.slowest_octets_per_second,
        ),
        report=loop.report,
        look_for_changes=look_for_changes,
        log=log,
        has_recall=settings.recall,
        budget=budget,
        secure_lines=_format_hsts(settings.hsts_seconds),
        needs_addresses=needs_addresses,
        clients=None if proxies is None else proxies.forwarding,
        capacity=Capacity(
            settings.connections_limit or connections_limit,
            settings.connections_per_address_limit,
            settings.requests_limit,
        ),
        secured_scopes=list(map(format_scope, range(len(select_clients(settings)[0])))),
    )


def _format_hsts(seconds: float) -> bytes:
    """Return the field line that keeps browsers to https (RFC 6797 section 6.1); nothing for 0."""
    return b"Strict-Transport-Security: max-age=%d\r\n" % seconds if seconds else b""


def select_sandbox(settings: Settings, *, is_replaceable: bool) -> str:
    """Return which sandbox a worker gets: ``on``, ``off`` or ``auto``."""
    if settings.sandbox == "auto" and not is_replaceable:
        # A root that is replaced is another folder to the kernel, and no right can be won back; only
        # another worker can follow there.
        return "off"
    return settings.sandbox


def confine_to(settings: Settings, sandbox: str) -> str:
    """Give up rights that serving does not need; return, for a person, what is in force."""
    if sandbox == "off" and not settings.user:
        return "off"
    # A process that keeps its rights needs nothing of it.
    from epollo.linux.confinement import confine  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        roots = []
        for path in _list_roots(settings):
            try:
                root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                # The catalogue says what is wrong with it.
                return "off"
            stack.callback(os.close, root)
            roots.append(root)
        return confine(roots, sandbox, settings.user or None)


def filter_calls_of(sandbox: str) -> str:
    """Give up system calls that serving does not take; return, for a person, what is in force."""
    if sandbox == "off":
        return ""
    from epollo.linux.confinement import filter_calls  # noqa: PLC0415 - as above

    return filter_calls(sandbox)


def _list_roots(settings: Settings) -> list[bytes]:
    """Return the folders that are served, and those that links of theirs may lead into."""
    roots: list[bytes] = []
    for site in select_sites(settings):
        roots.append(os.fsencode(site.root))
        roots += parse_reach(site.allow_hidden, site.follow_links).folders
    return roots
