"""The sites of a worker: what each is made of, what they share, and which of them answers."""

from collections.abc import Callable

from epollo.budget import Budget
from epollo.connections.contract import Responder
from epollo.connections.service import Service
from epollo.http.caching import NO_CACHE_FIELD
from epollo.linux.readiness_signal import signal_readiness
from epollo.loop import CallInLoop, EventLoop
from epollo.settings import Settings, SiteSettings, select_clients, select_hosts, select_sites
from epollo.site.access.clients import VerifiedClients
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor
from epollo.site.events import Events
from epollo.site.respond import Site
from epollo.site.rulebook import Rulebook
from epollo.site.rules.reading import Readings
from epollo.site.sharing import Sharing
from epollo.site.tagging import Tagging
from epollo.transports import format_scope
from epollo.worker.access import Access
from epollo.worker.compose import open_catalogue, open_rulebook


class Sites:
    """All that is served, from requests to responses.

    Sites share the memory that is kept (``budget``), one inotify descriptor, what makes codings
    and the one that reads large files. ``access`` is what stands before them.
    """

    def __init__(
        self,
        settings: Settings,
        loop: EventLoop,
        call_in_loop: CallInLoop,
        *,
        on_root_out_of_reach: Callable[[str, bool], None],
        access: Access,
        budget: Budget,
        tells_mistakes: bool,
        kind: type[Catalogue] = Catalogue,
        compressor: Compressor | None,
    ) -> None:
        """Raise `OperatorError` if a folder cannot be read.

        ``kind`` is for an examination, which has one of its own. ``compressor`` makes codings, None if
        there are to be none.
        """
        self._settings = settings
        self._loop = loop
        self._access = access
        self._compressor = compressor
        self.catalogues: list[Catalogue] = []
        self.rulebooks: list[Rulebook] = []
        sites = select_sites(settings)
        events = _open_events() if len(sites) > 1 else None
        tagging = Tagging(call_in_loop)
        readings = Readings(loop.call_again)
        for site in sites:
            catalogue = open_catalogue(
                site, budget, loop, loop.report, on_root_out_of_reach, events=events, kind=kind
            )
            self.catalogues.append(catalogue)
            catalogue.tagging = tagging
            if compressor is not None and settings.workers not in {"0", "1"}:
                catalogue.sharing = Sharing(compressor)
            rulebook = open_rulebook(
                site, catalogue, loop, loop.report, tells_mistakes=tells_mistakes
            )
            self.rulebooks.append(rulebook)
            rulebook.readings = readings
        responders = [self._make_responder(number, site) for number, site in enumerate(sites)]
        self.respond = _select_by_host(settings, verify_clients(settings, responders))
        # One for each descriptor.
        self._watches = list(
            {one.watch.descriptor: one.watch for one in self.catalogues if one.watch}.values()
        )

    def _make_responder(self, number: int, site: SiteSettings) -> Responder:
        """Return what answers the requests of one site, once its rules have been read."""
        rulebook = self.rulebooks[number]
        responder = Site(
            self.catalogues[number],
            self._loop.clock,
            self._compressor if site.compress else None,
            rulebook,
            listing=site.listing,
            is_behind_gateway=self._settings.has_proxy_protocol,
        )
        return rulebook.when_read(self._access.protect(number, responder))

    @property
    def relevant_fields(self) -> frozenset[bytes]:
        """The fields that an answer may depend on by the rules that are in force."""
        return self._access.relevant_fields.union(
            *(rulebook.policy.relevant_fields for rulebook in self.rulebooks)
        )

    def learn_of_changes(self, note_change: Callable[[], None]) -> None:
        """Have the kernel tell of changes of files before anything else in a batch."""
        for watch in self._watches:
            self._loop.add_first(watch.descriptor, watch)
            signal_readiness(watch.descriptor, note_change)
            watch.call_in_storm(note_change)
        self._access.learn_of_changes(self._loop, note_change)

    def look_for_changes(self) -> bool:
        """Learn of every change up to now; return whether the next will be told of."""
        is_told = True
        for watch in self._watches:
            watch.on_ready(0)
            is_told &= not watch.is_blind
        self._access.look_for_changes()
        return is_told

    def look_anew(self) -> None:
        """Have everything compared with the file system before it is answered again."""
        for catalogue in self.catalogues:
            catalogue.look_anew()

    def follow_rules(self, service: Service) -> None:
        """Have requests reduced and answered by the rules, and the releases, that are in force."""
        for catalogue in self.catalogues:
            catalogue.deferred_release.on_doubt = service.doubt
        for rulebook in self.rulebooks:
            rulebook.on_change.append(lambda _: service.rely_on(self.relevant_fields))
            # Before a request is reduced: what it is reduced to depends on the rules.
            self._loop.on_second.append(rulebook.follow)

    def close(self) -> None:
        """Give back every descriptor; to be called when no loop watches them."""
        for catalogue in self.catalogues:
            catalogue.close()

    def stop_compressing(self) -> None:
        """Have no more codings made."""
        if self._compressor is not None:
            self._compressor.close()


def _open_events() -> Events | None:
    try:
        return Events()
    except (OSError, AttributeError):
        # Each catalogue says what is missing.
        return None


def verify_clients(settings: Settings, responders: list[Responder]) -> list[Responder]:
    """Return the responders of all sites, each behind what verifies its clients by their certificates.

    If any site asks for certificates, a client that was verified for one must get nothing of another.
    """
    ways, of_sites = select_clients(settings)
    if not any(authorities for authorities, _ in ways):
        return responders
    return [
        VerifiedClients(format_scope(way), respond, is_required=ways[way][1] == "require").respond
        for way, respond in zip(of_sites, responders, strict=True)
    ]


def _select_by_host(settings: Settings, responders: list[Responder]) -> Responder:
    """Return one responder for all sites, that tells them apart by the host."""
    if not settings.sites:
        return responders[0]
    # See `load_hosts`.
    from epollo.site.hosts import Hosts  # noqa: PLC0415

    default: Responder | None = None
    by_host: dict[str, Responder] = {}
    for responder, (hosts, is_default) in zip(responders, select_hosts(settings), strict=True):
        by_host |= dict.fromkeys(hosts, responder)
        if is_default:
            default = responder
    return Hosts(by_host, default, (NO_CACHE_FIELD,)).respond
